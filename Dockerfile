# syntax=docker/dockerfile:1
# Two stages: everything is built in the first, the second holds Python, the proxy and its page.

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN apt-get update && apt-get install -y --no-install-recommends binutils
WORKDIR /src
COPY requirements/ requirements/
RUN python -m venv /app && /app/bin/python -m pip install -q --require-hashes -r requirements/runtime.txt
RUN python -m venv /tools && /tools/bin/python -m pip install -q --require-hashes -r requirements/build.txt
COPY . .
RUN /tools/bin/python tools/build_page.py
RUN /tools/bin/python -m pip wheel -q --no-deps --no-build-isolation -w /dist . \
 && /app/bin/python -m pip install -q --no-deps --no-index /dist/*.whl \
 && /app/bin/python -m pip uninstall -q -y pip \
 && find /app -name '*.so' -exec strip --strip-unneeded {} + \
 && /app/bin/python -m compileall -q /app/lib

FROM python:3.13-slim
LABEL org.opencontainers.image.title="LLM Proxy" \
      org.opencontainers.image.description="A lightweight, highly available LLM API proxy" \
      org.opencontainers.image.source="https://github.com/ranbo12138/llm-proxy" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin llm-proxy \
 && install -d -o 10001 -g 10001 /data
COPY --from=build /app /app
# One arena: glibc's arena per thread would double the memory of a process this small.
ENV PATH=/app/bin:$PATH PYTHONDONTWRITEBYTECODE=1 MALLOC_ARENA_MAX=2 DATA_DIR=/data
WORKDIR /data
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["llm-proxy", "health"]
ENTRYPOINT ["llm-proxy"]
# Some platforms refuse an image without a command.
CMD ["serve"]
