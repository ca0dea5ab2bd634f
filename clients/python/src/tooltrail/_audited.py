"""A decorator that records each call of a tool's function: its arguments, its outcome and its duration."""

import asyncio
import concurrent.futures
import functools
import inspect
import time
from collections.abc import Awaitable
from contextvars import ContextVar
from typing import Any, Callable, Dict, Mapping, Optional, Tuple, TypeVar, Union, cast, overload

from tooltrail import _encode
from tooltrail._record import submit

# The user whose agent makes the calls of this context; set it where a request or a session begins.
current_user: "ContextVar[str]" = ContextVar("tooltrail.current_user", default="unknown")

Function = TypeVar("Function", bound=Callable[..., Any])

_TIMEOUTS = (TimeoutError, asyncio.TimeoutError, concurrent.futures.TimeoutError)


@overload
def audited(function: Function) -> Function: ...
@overload
def audited(function: str) -> Callable[[Function], Function]: ...
@overload
def audited(*, tool: Optional[str] = None) -> Callable[[Function], Function]: ...
def audited(function: Union[Function, str, None] = None, *, tool: Optional[str] = None) -> Any:
    """Records each call of a function or coroutine function, under its own name or the name `tool`.

    A call that returns is `ok`. A call that raises is `error`, and the exception is raised again. A cancelled call is
    `error` with the reason `cancelled`. The user comes from `current_user`; the arguments are recorded by name, with
    the values that they had when the call began.

        @audited
        def add(a, b): ...

        @audited(tool="fs.read")
        async def read(path): ...

    Raises `TypeError` for a generator function, because its work is not done when the function returns.
    """
    if callable(function):
        return _audited(function, tool)
    name = tool if function is None else function
    return lambda function: _audited(function, name)


def _audited(function: Function, tool: Optional[str]) -> Function:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{function!r} is a generator function; audit the function that consumes it")
    name = tool or getattr(function, "__name__", None) or type(function).__name__
    try:
        signature: Optional[inspect.Signature] = inspect.signature(function)
    except (TypeError, ValueError):  # some functions written in C have no signature
        signature = None

    async def awaited(begun: "_Begun", result: "Awaitable[Any]") -> Any:
        try:
            value = await result
        except BaseException as error:
            begun.raised(error)
            raise
        begun.returned(value)
        return value

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def asynchronous(*args: Any, **kwargs: Any) -> Any:
            begun = _Begun(name, signature, args, kwargs)
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                begun.raised(error)
                raise
            return await awaited(begun, result)

        return cast(Function, asynchronous)

    @functools.wraps(function)
    def synchronous(*args: Any, **kwargs: Any) -> Any:
        begun = _Begun(name, signature, args, kwargs)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            begun.raised(error)
            raise
        if inspect.iscoroutine(result):
            return awaited(begun, result)
        begun.returned(result)
        return result

    return cast(Function, synchronous)


class _Begun:
    """A call that has begun. No method of this class raises."""

    def __init__(
        self, tool: str, signature: Optional[inspect.Signature], args: Tuple[Any, ...], kwargs: Dict[str, Any]
    ) -> None:
        self.tool = tool
        self.user = current_user.get()
        named, self.fits = _named(signature, args, kwargs)
        # Encode the arguments now, because the function may change them.
        self.args_json = _encode.json_text(named)
        self.began_ns = time.perf_counter_ns()

    def returned(self, result: object) -> None:
        self._ended("ok", result, None)

    def raised(self, error: BaseException) -> None:
        try:
            text = str(error)
        except Exception:  # `str` of an exception may run any code
            text = ""
        kind = type(error).__name__
        if isinstance(error, concurrent.futures.CancelledError) or not isinstance(error, Exception):
            reason = "cancelled"
        elif isinstance(error, _TIMEOUTS):
            reason = "timeout"
        else:
            reason = "tool_error" if self.fits else "invalid_args"
        self._ended("error", f"{kind}: {text}" if text else kind, reason)

    def _ended(self, status: str, result: object, reason: Optional[str]) -> None:
        ms = round((time.perf_counter_ns() - self.began_ns) / 1e6, 3)
        submit(
            lambda: _encode.line(
                self.user, self.tool, self.args_json, status, result, reason=reason, duration_ms=ms
            )
        )


def _named(
    signature: Optional[inspect.Signature], args: Tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Tuple[Dict[str, Any], bool]:
    """Returns the arguments by name, and whether they fit the function."""
    try:
        bound = None if signature is None else signature.bind(*args, **kwargs)
    except TypeError:
        return {**kwargs, **({"args": list(args)} if args else {})}, False
    if signature is None or bound is None:
        return {**kwargs, **({"args": list(args)} if args else {})}, True
    named: Dict[str, Any] = {}
    for place, (name, value) in enumerate(bound.arguments.items()):
        kind = signature.parameters[name].kind
        if place == 0 and name in ("self", "cls"):
            # Skip the object that the method belongs to, because the agent did not pass it.
            continue
        if kind is inspect.Parameter.VAR_KEYWORD and not named.keys() & value.keys():
            named.update(value)
        else:
            named[name] = list(value) if kind is inspect.Parameter.VAR_POSITIONAL else value
    return named, True
