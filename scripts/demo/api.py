"""Home Assistant's HTTP and websocket interface, as far as the demo needs it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
import time
from typing import Any

import aiohttp

USER, PASSWORD = "dev", "skylapse-dev"


class ApiError(Exception):
    """Home Assistant answered something else than hoped for."""


class Api:
    """A logged-in connection."""

    def __init__(self, url: str, session: aiohttp.ClientSession, token: str, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Use ``connect`` instead."""
        self._url = url
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}"}
        self._socket = socket
        self._last_id = 0

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the answer to a POST request."""
        async with self._session.post(self._url + path, json=body, headers=self._headers) as response:
            if not response.ok:
                raise ApiError(f"POST {path}: {response.status} {await response.text()}")
            return await response.json()

    async def call(self, command: str, **data: Any) -> Any:
        """Return the result of a websocket command."""
        self._last_id += 1
        await self._socket.send_json({"id": self._last_id, "type": command, **data})
        while True:
            answer = await self._socket.receive_json()
            if answer.get("id") == self._last_id and answer["type"] == "result":
                if not answer["success"]:
                    raise ApiError(f"{command}: {answer['error']}")
                return answer["result"]

    async def action(self, domain: str, name: str, data: Mapping[str, Any], target: Mapping[str, Any] | None = None) -> None:
        """Run one of Home Assistant's actions."""
        await self.call("call_service", domain=domain, service=name, service_data=data, target=target or {})

    async def state(self, entity_id: str) -> str | None:
        """Return an entity's state, None if there is none."""
        states = await self.call("get_states")
        return next((state["state"] for state in states if state["entity_id"] == entity_id), None)

    async def config_flow(self, handler: str) -> Flow:
        """Begin to add an integration."""
        path = "/api/config/config_entries/flow"
        return Flow(self, path, await self.post(path, {"handler": handler}))

    async def subentry_flow(self, entry_id: str, kind: str, subentry_id: str | None = None) -> Flow:
        """Begin to add a subentry, or to change one."""
        path = "/api/config/config_entries/subentries/flow"
        changed = {"subentry_id": subentry_id} if subentry_id else {}
        return Flow(self, path, await self.post(path, {"handler": [entry_id, kind], **changed}))


class Flow:
    """A dialog of Home Assistant's, step by step."""

    def __init__(self, api: Api, path: str, step: dict[str, Any]) -> None:
        """Begin at its first step."""
        self._api = api
        self._path = path
        self.step = step

    async def choose(self, option: str) -> None:
        """Choose from a menu."""
        await self._send({"next_step_id": option})

    async def fill(self, **values: Any) -> None:
        """Send the form as it is suggested, but with these values. Raises ``ApiError`` if it comes back with errors."""
        if self.step.get("type") != "form":
            raise ApiError(f"expected a form, got {self.step}")
        before = self.step["step_id"]
        await self._send({**_suggested(self.step["data_schema"]), **values})
        if self.step.get("errors"):
            raise ApiError(f"the form {before} came back: {self.step['errors']} {self.step.get('description_placeholders')}")

    def finish(self) -> None:
        """Raise ``ApiError`` unless it ended with what it is for."""
        if self.step.get("type") != "create_entry" and self.step.get("reason") != "reconfigure_successful":
            raise ApiError(f"the dialog did not end well: {self.step}")

    async def _send(self, answer: Mapping[str, Any]) -> None:
        """Answer the present step, and wait while the next one only shows progress."""
        flow = f"{self._path}/{self.step['flow_id']}"
        self.step = await self._api.post(flow, answer)
        while self.step.get("type") in {"progress", "progress_done"}:
            await asyncio.sleep(0.2)
            self.step = await self._api.post(flow, {})


def _suggested(schema: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what stands in a form's fields when it opens."""
    values: dict[str, Any] = {}
    for field in schema:
        if field.get("type") == "expandable":
            values[field["name"]] = _suggested(field["schema"])
        elif (suggested := (field.get("description") or {}).get("suggested_value")) is not None:
            values[field["name"]] = suggested
        elif "default" in field:
            values[field["name"]] = field["default"]
    return values


@asynccontextmanager
async def connect(url: str, alive: Callable[[], bool], timeout_s: float = 120) -> AsyncIterator[Api]:
    """Wait until Home Assistant answers, create its user if there is none, log in. ``alive`` tells whether waiting makes sense."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        await _answering(session, url, alive, timeout_s)
        token = await _token(session, url)
        async with session.ws_connect(f"{url}/api/websocket", max_msg_size=0) as socket:
            await socket.receive_json()
            await socket.send_json({"type": "auth", "access_token": token})
            if (answer := await socket.receive_json())["type"] != "auth_ok":
                raise ApiError(f"the websocket refused the log-in: {answer}")
            api = Api(url, session, token, socket)
            await until(lambda: _started(api), timeout_s)
            yield api


async def until(condition: Callable[[], Awaitable[bool]], timeout_s: float) -> None:
    """Wait for a condition. Raises ``ApiError`` if it does not come true in time."""
    end = time.monotonic() + timeout_s
    while not await condition():
        if time.monotonic() > end:
            raise ApiError(f"waited {timeout_s:.0f} s in vain")
        await asyncio.sleep(0.2)


async def _started(api: Api) -> bool:
    """Whether all integrations are set up."""
    config = await api.call("get_config")
    return bool(config["state"] == "RUNNING")


async def _answering(session: aiohttp.ClientSession, url: str, alive: Callable[[], bool], timeout_s: float) -> None:
    """Wait until the front end is there."""

    async def answers() -> bool:
        if not alive():
            raise ApiError("Home Assistant ended while it started")
        try:
            async with session.get(f"{url}/manifest.json") as response:
                return response.ok
        except aiohttp.ClientError, TimeoutError:
            return False

    await until(answers, timeout_s)


async def _token(session: aiohttp.ClientSession, url: str) -> str:
    """Return an access token of the demo's user, who is created first where there is none."""
    client = f"{url}/"

    async def post(path: str, **request: Any) -> Any:
        async with session.post(url + path, **request) as response:
            if not response.ok:
                raise ApiError(f"POST {path}: {response.status} {await response.text()}")
            return await response.json()

    async with session.get(f"{url}/api/onboarding") as response:  # not there any more after onboarding
        steps = {step["step"]: step["done"] for step in await response.json()} if response.ok else {}
    if steps.get("user") is False:
        person = {"name": "Developer", "username": USER, "password": PASSWORD, "client_id": client, "language": "en"}
        code = (await post("/api/onboarding/users", json=person))["auth_code"]
    else:
        begun = {"client_id": client, "handler": ["homeassistant", None], "redirect_uri": client}
        flow = await post("/auth/login_flow", json=begun)
        answer = {"client_id": client, "username": USER, "password": PASSWORD}
        done = await post(f"/auth/login_flow/{flow['flow_id']}", json=answer)
        if done["type"] != "create_entry":
            raise ApiError(f"{USER} could not log in: {done.get('errors')}")
        code = done["result"]
    granted = await post("/auth/token", data={"grant_type": "authorization_code", "code": code, "client_id": client})
    token: str = granted["access_token"]
    return token
