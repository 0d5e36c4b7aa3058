"""From a call's routes to the plan that walks them."""

from llm_proxy.policy.board import Board
from llm_proxy.policy.chain import Chain, Course
from llm_proxy.policy.plan import Plan
from llm_proxy.policy.retry import RetryConfig

from .call import Call
from .keep import affinity_of
from .table import Route


def course_of(
    board: Board,
    routes: tuple[Route, ...],
    call: Call,
    *,
    deadline: float,
    config: RetryConfig,
) -> Course:
    """Return the plan for `call`: one walk over targets, or one per model of its chain."""
    is_choice = len(routes) > 1 or len(routes[0].targets) > 1
    affinity = affinity_of(call) if is_choice else None

    def make(stage: int, waited_s: float, is_last: bool) -> Plan:
        return Plan(
            board,
            routes[stage].targets,
            model=routes[stage].model,
            deadline=deadline,
            config=config,
            is_repeatable=call.endpoint.is_repeatable,
            is_last=is_last,
            waited_s=waited_s,
            affinity=affinity,
            second=routes[stage].second,
        )

    return make(0, 0.0, True) if len(routes) == 1 else Chain(len(routes), make)


def route_at(routes: tuple[Route, ...], course: Course) -> Route:
    """Return the route of the stage the course is in."""
    return routes[course.stage] if isinstance(course, Chain) else routes[0]
