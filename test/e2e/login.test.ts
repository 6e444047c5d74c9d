import { expect } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withRegistry } from "../support/dockerRegistry.ts";
import { e2e } from "../support/e2e.ts";
import { htpasswd, makeCertificates, startTokenServer } from "../support/registryAuth.ts";
import { sh } from "../support/shell.ts";
import type { Slipway } from "../support/withSlipway.ts";

const account = { user: "me", password: "s3cret:word", refreshToken: "r3fresh" };

async function named(slipway: Slipway, name: string): Promise<string> {
  if ((await slipway.text("images", "-q", "busybox")) === "") await slipway.run(["pull", "-q", "busybox"]);
  await slipway.run(["tag", "busybox", name]);
  return name;
}

e2e(
  "login keeps what the registry takes, push and pull use it, logout forgets it; nothing of it is ever shown",
  (slipway) =>
    withRegistry(
      async ({ host }) => {
        const name = await named(slipway, `${host}/app:1`);
        const config = join(slipway.env.HOME as string, ".docker/config.json");
        const denied = await slipway.run(["push", name], { exit: 1 });
        expect(denied.stderr).toContain(`slipway login ${host}`);

        const wrong = await slipway.run(["login", "-u", "me", "--password-stdin", host], { input: "wr0ng", exit: 1 });
        expect(existsSync(config)).toBe(false);
        mkdirSync(join(slipway.env.HOME as string, ".docker"));
        writeFileSync(config, JSON.stringify({ psFormat: "table" }));
        const right = await slipway.run(["login", "-u", "me", "--password-stdin", `https://${host}/v2/`], {
          input: `${account.password}\n`,
        });
        expect(right.stdout).toContain("Login Succeeded");
        expect(JSON.parse(readFileSync(config, "utf8"))).toEqual({
          psFormat: "table",
          auths: { [host]: { auth: btoa(`me:${account.password}`) } },
        });
        expect(statSync(config).mode & 0o777).toBe(0o600);
        expect((await slipway.run(["login", host])).stderr).toContain("existing credentials");

        await slipway.run(["push", name]);
        await slipway.run(["pull", name]);
        const debug = await slipway.run(["-D", "pull", `${host}/none:1`], { exit: 1 });
        const shown = [denied, wrong, right, debug].map(({ stdout, stderr }) => stdout + stderr).join("");
        for (const secret of ["wr0ng", account.password, btoa(`me:${account.password}`)])
          expect(shown).not.toContain(secret);

        // Another file in its place, by flag or by environment.
        const authFile = join(slipway.directory, "auth.json");
        await slipway.run(["login", "-u", "me", "-p", account.password, "--authfile", authFile, host]);
        expect((await slipway.run(["logout", host])).stdout).toBe(`Removing login credentials for ${host}\n`);
        expect((await slipway.run(["logout", host])).stdout).toBe(`Not logged in to ${host}\n`);
        await slipway.run(["pull", name], { exit: 1 });
        await slipway.run(["pull", "--authfile", authFile, name]);
        await slipway.run(["pull", name], { env: { REGISTRY_AUTH_FILE: authFile } });
        writeFileSync(authFile, '{"auths": s3cret}');
        const broken = await slipway.run(["-D", "pull", "--authfile", authFile, name], { exit: 1 });
        expect(broken.stderr).toContain(`${authFile} is not JSON`);
        expect(broken.stderr).not.toContain("s3cret}");

        await slipway.terminal(["login", host], async (session) => {
          await session.waitFor(/Username: /);
          session.type("mf\x7fe\r");
          await session.waitFor(/Password: /);
          session.type(`${account.password}\r`);
          await session.waitFor(/Login Succeeded/);
          expect(await session.exited).toBe(0);
          expect(session.text()).not.toContain(account.password);
        });
      },
      { auth: htpasswd(slipway.directory, { me: account.password }) },
    ),
);

e2e("credential helpers are asked, and keep what a login gives them", (slipway) =>
  withRegistry(
    async ({ host }) => {
      const home = slipway.env.HOME as string;
      const bin = join(home, "bin");
      mkdirSync(bin);
      const helper = join(bin, "docker-credential-test");
      writeFileSync(
        helper,
        `#!/bin/sh
         case $1 in
         store) cat > ${home}/kept ;;
         get) read -r server; grep -q "\\"$server\\"" ${home}/kept || { echo "credentials not found in native keychain"; exit 1; }; cat ${home}/kept ;;
         erase) rm ${home}/kept ;;
         esac`,
      );
      chmodSync(helper, 0o755);
      mkdirSync(join(home, ".docker"));
      const config = join(home, ".docker/config.json");
      writeFileSync(config, JSON.stringify({ credHelpers: { [host]: "test" }, credsStore: "../../evil" }));
      const env = { PATH: `${bin}:${slipway.env.PATH}` };
      const name = await named(slipway, `${host}/app:1`);
      await slipway.run(["push", name], { env, exit: 1 });
      const { stderr } = await slipway.run(["login", "-u", "me", "--password-stdin", host], {
        env,
        input: account.password,
      });
      expect(stderr).not.toContain("unencrypted");
      expect(JSON.parse(readFileSync(join(home, "kept"), "utf8"))).toEqual({
        ServerURL: host,
        Username: "me",
        Secret: account.password,
      });
      expect(JSON.parse(readFileSync(config, "utf8")).auths).toEqual({ [host]: {} });
      await slipway.run(["push", name], { env });
      await slipway.run(["logout", host], { env });
      expect(existsSync(join(home, "kept"))).toBe(false);
    },
    { auth: htpasswd(slipway.directory, { me: account.password }) },
  ),
);

e2e(
  "tokens come for a password by GET and for an identity token by POST, over TLS with an authority of one's own",
  async (slipway) => {
    makeCertificates(slipway.directory);
    const home = slipway.env.HOME as string;
    const tokens = startTokenServer(slipway.directory, account);
    const file = (name: string): string => join(slipway.directory, name);
    try {
      await withRegistry(
        async ({ host }) => {
          const name = await named(slipway, `${host}/team/app:1`);
          const untrusted = await slipway.run(["push", "--tls-verify=true", name], { exit: 1 });
          expect(untrusted.stderr).toContain(`certs.d/${host}/ca.crt`);

          const certificates = join(home, ".config/containers/certs.d", host);
          mkdirSync(certificates, { recursive: true });
          sh("/", `cp ${file("ca.crt")} ${certificates}/ca.crt`);
          // The registry wants to see a certificate of the client, too.
          await slipway.run(["push", name], { exit: 1 });
          sh(
            "/",
            `cp ${file("client.crt")} ${certificates}/client.cert; cp ${file("client.key")} ${certificates}/client.key`,
          );

          mkdirSync(join(home, ".docker"));
          const config = join(home, ".docker/config.json");
          writeFileSync(
            config,
            JSON.stringify({
              auths: { [host]: { auth: btoa("me:wrong") }, [`${host}/team`]: { auth: btoa(`me:${account.password}`) } },
            }),
          );
          // The token server speaks plain http: a password does not go there from a registry that is asked by https.
          const plain = await slipway.run(["push", name], { exit: 1 });
          expect(plain.stderr).toContain("no credentials go there");
          expect(tokens.asked).toEqual([]);
        },
        {
          tls: { certificate: file("server.crt"), key: file("server.key"), clientca: file("ca.crt") },
          auth: tokens.auth,
        },
      );
      await withRegistry(
        async ({ host }) => {
          const name = await named(slipway, `${host}/team/app:1`);
          const config = join(home, ".docker/config.json");
          writeFileSync(
            config,
            JSON.stringify({
              auths: { [host]: { auth: btoa("me:wrong") }, [`${host}/team`]: { auth: btoa(`me:${account.password}`) } },
            }),
          );
          await slipway.run(["push", name]);
          expect(tokens.asked).toEqual(["GET repository:team/app:pull,push"]);
          writeFileSync(config, JSON.stringify({ auths: { [host]: { identitytoken: account.refreshToken } } }));
          await slipway.run(["pull", name]);
          expect(tokens.asked.slice(1)).toEqual(["POST refresh_token repository:team/app:pull"]);
        },
        { auth: tokens.auth },
      );
    } finally {
      tokens.stop();
    }
  },
);

e2e(
  "a registry on loopback that speaks TLS is found out, and taken without proof where that is asked for",
  async (slipway) => {
    makeCertificates(slipway.directory);
    const tls = { certificate: join(slipway.directory, "server.crt"), key: join(slipway.directory, "server.key") };
    await withRegistry(
      async ({ host }) => {
        const name = await named(slipway, `${host}/app:1`);
        expect((await slipway.run(["push", name], { exit: 1 })).stderr).toContain("certificate");
        await slipway.run(["push", "--tls-verify=false", name]);
        await slipway.run(["pull", name], {
          env: {
            SSL_CERT_FILE: join(slipway.directory, "ca.crt"),
          },
        });
      },
      { tls },
    );
    await withRegistry(async ({ host }) => {
      await slipway.run(["push", "--tls-verify=false", await named(slipway, `${host}/app:1`)]);
    });
  },
);
