"""tools_of_core.py URL: the core of the document as tools of an MCP server (FastMCP), played by an MCP client."""

import asyncio
import sys

import httpx2
from fastmcp import Client, FastMCP
from fastmcp.server.providers.openapi import MCPType, RouteMap

EVENTS = 5
url = sys.argv[1]
# A stream never ends: as a tool it would never return.
without_streams = [RouteMap(tags={"event"}, mcp_type=MCPType.EXCLUDE)]


async def kinds() -> int:
    count = 0
    async with httpx2.AsyncClient() as client, client.stream("GET", f"{url}/opencode/event") as stream:
        async for line in stream.aiter_lines():
            count += line.startswith("data: ")
            if count == EVENTS:
                return count
    raise AssertionError("the stream has ended")


async def main() -> None:
    counted = asyncio.create_task(kinds())
    document = httpx2.get(f"{url}/openapi.json?core").json()
    api = httpx2.AsyncClient(base_url=url, timeout=60)
    server = FastMCP.from_openapi(openapi_spec=document, client=api, name="Baton", route_maps=without_streams)
    async with Client(server) as client:
        tools = {tool.name for tool in await client.list_tools()}
        assert len(tools) == 24 and "session_update" in tools, sorted(tools)
        session = (await client.call_tool("session_create", {"title": "Generated"})).structured_content["id"]

        async def say(text: str, **more: object) -> str:
            parts = [{"type": "text", "text": text}]
            answer = await client.call_tool("session_prompt", {"sessionID": session, "parts": parts, **more})
            return answer.structured_content["info"]["modelID"]

        async def update(model: str):
            change = {"sessionID": session, "providerID": "mock", "modelID": model, "wait": True}
            return await client.call_tool("session_update", change, raise_on_error=False)

        print("first:", await say("echo one", model={"providerID": "mock", "modelID": "mock"}))
        print("switched:", (await update("mock-strong")).structured_content["model"]["id"])
        print("second:", await say("echo two"))
        refused = await update("mock-stong")
        assert refused.is_error
        text = refused.content[0].text
        names = ("ProviderModelNotFoundError", "mock-strong", "mock-fast")
        assert all(name in text for name in names), text
        print("refused: ProviderModelNotFoundError mock-strong mock mock-fast")
    print("events:", await counted)


asyncio.run(main())
