from news.lifespan import http_client


async def headline(topic: str) -> str:
    answer = await http_client.get().get("/", params={"topic": topic})
    return answer.text
