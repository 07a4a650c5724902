"""Any endpoint that speaks OpenAI's chat completions: OpenAI itself, vLLM, SGLang, llama.cpp, a proxy before others."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from evalkit.runners import chat_completions
from evalkit.runners.endpoint import EndpointRunner
from evalkit.types import Request, Response

if TYPE_CHECKING:
    from types import ModuleType

TokenParameter = Literal["max_tokens", "max_completion_tokens"]


@dataclass(frozen=True, kw_only=True)
class OpenAIRunner(EndpointRunner):
    """Asks through OpenAI's SDK. `token_parameter` is the endpoint's name for the bound on the answer."""

    engine: ClassVar[str] = "openai"
    # Always given to the SDK, which would else take OPENAI_BASE_URL, of which the identity would know nothing.
    vendor_url: ClassVar[str] = "https://api.openai.com/v1"
    set_here: ClassVar[frozenset[str]] = frozenset(
        {"model", "messages", "stream", "n", "temperature", *get_args(TokenParameter)}
    )

    api_key_env: str = "OPENAI_API_KEY"
    token_parameter: TokenParameter = "max_tokens"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.token_parameter not in get_args(TokenParameter):
            self._refuse(f"token_parameter={self.token_parameter}: use {' or '.join(get_args(TokenParameter))}")

    def objection(self, request: Request) -> str | None:
        """Say what chat completions cannot express."""
        return chat_completions.objection(request)

    def body(self, request: Request) -> Mapping[str, Any]:
        """Return the arguments of `chat.completions.create`."""
        extra: dict[str, object] = {self.token_parameter: request.max_tokens}
        if self.send_temperature:
            extra["temperature"] = request.temperature
        extra["messages"] = chat_completions.messages(request, self.system, self.pictures)
        # The SDK walks through its own arguments for keys to rename, of which messages have none.
        return {"model": self.model, "messages": (), "extra_body": {**extra, **self.extra_body}}

    def sdk(self) -> ModuleType:
        """Import openai."""
        import openai

        return openai

    def client(self, key: str) -> AbstractAsyncContextManager[Any]:
        """Open a client; a server of one's own wants no key, but the SDK insists on one."""
        import openai

        # A host that does not even accept the connection is not worth the minutes that an answer may take.
        timeout = openai.Timeout(self.timeout, connect=min(self.timeout, 30.0))
        return openai.AsyncOpenAI(base_url=self.url, api_key=key or "none", timeout=timeout, max_retries=0)

    async def send(self, client: Any, body: Mapping[str, Any]) -> bytes:
        """Ask once."""
        answer = await client.chat.completions.with_raw_response.create(**body)
        return bytes(answer.content)

    def read(self, request: Request, content: bytes) -> Response:
        """Read a chat completion."""
        return chat_completions.response(request, content)
