import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { withTempDirectory } from "../../test/support/tempDirectory.ts";
import { findCredentials } from "./credentials.ts";
import { covers, unite } from "./scope.ts";

const auth = (user: string) => ({ auth: btoa(`${user}:pass:word`) });

test("the longest path-scoped key of the first file that knows the host gives the credentials", () =>
  withTempDirectory(async (home) => {
    const write = (file: string, value: unknown): string => {
      mkdirSync(dirname(join(home, file)), { recursive: true });
      writeFileSync(join(home, file), JSON.stringify(value));
      return join(home, file);
    };
    write(".docker/config.json", {
      auths: {
        "r.example:5000": auth("host"),
        "r.example:5000/team": auth("team"),
        "r.example:5000/team/app": auth("app"),
        "https://index.docker.io/v1/": auth("hub"),
        "https://old.example/v1/": auth("old"),
        "token.example": { auth: "", identitytoken: "refresh" },
        "bearer.example": { registrytoken: "ready" },
      },
    });
    write("run/containers/auth.json", { auths: { "podman.example": auth("podman"), "r.example:5000": auth("later") } });
    write(".config/containers/auth.json", { auths: { "config.example": { username: "u", password: "p" } } });
    const own = write("own.json", { auths: { "r.example:5000": auth("own") } });
    const env = { HOME: home, XDG_RUNTIME_DIR: join(home, "run") };
    const find = (host: string, repository = "", more = {}) => findCredentials(host, repository, { ...env, ...more });

    const user = async (host: string, repository?: string, more?: Record<string, string>) =>
      (await find(host, repository, more))?.username;
    expect(await find("r.example:5000", "team/app")).toEqual({ username: "app", password: "pass:word" });
    expect(await user("r.example:5000", "team/app/sub")).toBe("app");
    expect(await user("r.example:5000", "team/apple")).toBe("team");
    expect(await user("r.example:5000", "x")).toBe("host");
    expect(await user("docker.io", "library/alpine")).toBe("hub");
    expect(await user("old.example", "x")).toBe("old");
    expect(await find("token.example", "x")).toEqual({ identityToken: "refresh" });
    expect(await find("bearer.example", "x")).toEqual({ registryToken: "ready" });
    expect(await user("podman.example", "x")).toBe("podman");
    expect(await find("config.example")).toEqual({ username: "u", password: "p" });
    expect(await user("constructor", "x")).toBeUndefined();
    expect(await user("r.example:5000", "x", { REGISTRY_AUTH_FILE: own })).toBe("own");
    expect(await user("podman.example", "x", { DOCKER_CONFIG: join(home, "none") })).toBe("podman");
    expect((await findCredentials("docker.io", "x", env, own))?.username).toBeUndefined();
    await expect(findCredentials("docker.io", "x", env, join(home, "missing"))).rejects.toMatchObject({
      code: "INVALID_CREDENTIALS_FILE",
    });
  }));

test("scopes are united by what they are about, and a wider one covers a narrower", () => {
  expect(unite("repository:h:5000/a:pull", "repository:h:5000/a:push,pull repository:b:pull")).toBe(
    "repository:h:5000/a:pull,push repository:b:pull",
  );
  expect(covers("repository:a:pull,push repository:b:pull", "repository:b:pull")).toBe(true);
  expect(covers("repository:a:*", "repository:a:delete")).toBe(true);
  expect(covers("repository:a:pull", "repository:a:pull,push")).toBe(false);
  expect(covers("repository:ab:pull", "repository:a:pull")).toBe(false);
});
