export type Answer = (request: Request, count: number) => Response | Promise<Response>;

export interface ScriptedServer {
  host: string;
  url: string;
  asked: Request[];
}

/** A server on loopback that answers by a table of paths (`count`: how often that path was asked before), and keeps what it was asked. */
export async function withServer<T>(
  answers: Record<string, Answer>,
  work: (server: ScriptedServer) => Promise<T>,
): Promise<T> {
  const asked: Request[] = [];
  const counts = new Map<string, number>();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    error: () => new Response(null, { status: 500 }),
    fetch(request) {
      asked.push(request);
      const { pathname } = new URL(request.url);
      const count = counts.get(pathname) ?? 0;
      counts.set(pathname, count + 1);
      return answers[pathname]?.(request, count) ?? new Response("{}", { status: 404 });
    },
  });
  try {
    return await work({ host: `127.0.0.1:${server.port}`, url: `http://127.0.0.1:${server.port}`, asked });
  } finally {
    await server.stop(true);
  }
}
