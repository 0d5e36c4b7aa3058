"""Which formats' texts can go on elsewhere."""

from .continuation import Continuer
from .continue_chat import ChatContinuer
from .continue_messages import MessagesContinuer
from .continue_responses import ResponsesContinuer

CONTINUERS: dict[str, Continuer] = {
    "chat": ChatContinuer(),
    "messages": MessagesContinuer(),
    "responses": ResponsesContinuer(),
}
"""By a format's name."""
