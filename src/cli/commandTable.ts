import type { Command } from "./Command.ts";

export interface CommandEntry {
  /** As it is typed: `build`, `image inspect`. */
  name: string;
  summary: string;
  /** Other spellings, docker's groups among them. */
  aliases: string[];
  /** Left out of the list that `--help` prints. */
  hidden?: boolean;
  load(): Promise<{ command: Command }>;
}

/** Every command. Its file is only loaded when it is called: start-up is part of every number. */
export const commandTable: readonly CommandEntry[] = [
  {
    name: "build",
    summary: "Build an image from a Dockerfile",
    aliases: ["image build", "buildx build", "builder build"],
    load: () => import("./commands/build.ts"),
  },
  {
    name: "pull",
    summary: "Download an image from a registry",
    aliases: ["image pull"],
    load: () => import("./commands/pull.ts"),
  },
  {
    name: "images",
    summary: "List images",
    aliases: ["image ls", "image list"],
    load: () => import("./commands/images.ts"),
  },
  {
    name: "history",
    summary: "Show how an image was made, layer by layer",
    aliases: ["image history"],
    load: () => import("./commands/history.ts"),
  },
  {
    name: "tag",
    summary: "Give an image a further name",
    aliases: ["image tag"],
    load: () => import("./commands/tag.ts"),
  },
  {
    name: "rmi",
    summary: "Remove images",
    aliases: ["image rm", "image remove"],
    load: () => import("./commands/rmi.ts"),
  },
  {
    name: "run",
    summary: "Create a container from an image and run it",
    aliases: ["container run"],
    load: () => import("./commands/run.ts"),
  },
  {
    name: "create",
    summary: "Create a container without starting it",
    aliases: ["container create"],
    load: () => import("./commands/create.ts"),
  },
  {
    name: "start",
    summary: "Start stopped containers",
    aliases: ["container start"],
    load: () => import("./commands/start.ts"),
  },
  {
    name: "stop",
    summary: "Stop running containers",
    aliases: ["container stop"],
    load: () => import("./commands/stop.ts"),
  },
  {
    name: "restart",
    summary: "Stop containers and start them again",
    aliases: ["container restart"],
    load: () => import("./commands/restart.ts"),
  },
  {
    name: "kill",
    summary: "Send a signal to running containers",
    aliases: ["container kill"],
    load: () => import("./commands/kill.ts"),
  },
  {
    name: "ps",
    summary: "List containers",
    aliases: ["container ls", "container ps", "container list"],
    load: () => import("./commands/ps.ts"),
  },
  {
    name: "logs",
    summary: "Show what a container has printed",
    aliases: ["container logs"],
    load: () => import("./commands/logs.ts"),
  },
  {
    name: "exec",
    summary: "Run a command in a running container",
    aliases: ["container exec"],
    load: () => import("./commands/exec.ts"),
  },
  {
    name: "attach",
    summary: "Connect the terminal to a running container",
    aliases: ["container attach"],
    load: () => import("./commands/attach.ts"),
  },
  {
    name: "wait",
    summary: "Wait until containers end, and print their exit codes",
    aliases: ["container wait"],
    load: () => import("./commands/wait.ts"),
  },
  {
    name: "pause",
    summary: "Stop all processes of containers where they are",
    aliases: ["container pause"],
    load: () => import("./commands/pause.ts"),
  },
  {
    name: "unpause",
    summary: "Let the processes of paused containers go on",
    aliases: ["container unpause"],
    load: () => import("./commands/unpause.ts"),
  },
  {
    name: "rename",
    summary: "Give a container another name",
    aliases: ["container rename"],
    load: () => import("./commands/rename.ts"),
  },
  {
    name: "update",
    summary: "Change limits and restart policy of containers",
    aliases: ["container update"],
    load: () => import("./commands/update.ts"),
  },
  {
    name: "top",
    summary: "Show the processes of a container",
    aliases: ["container top"],
    load: () => import("./commands/top.ts"),
  },
  {
    name: "stats",
    summary: "Show what containers use",
    aliases: ["container stats"],
    load: () => import("./commands/stats.ts"),
  },
  {
    name: "cp",
    summary: "Copy files between a container and here",
    aliases: ["container cp"],
    load: () => import("./commands/cp.ts"),
  },
  {
    name: "events",
    summary: "Show what happens to containers, images and volumes",
    aliases: ["system events"],
    load: () => import("./commands/events.ts"),
  },
  {
    name: "volume ls",
    summary: "List volumes; `volume create`, `volume inspect`, `volume rm`",
    aliases: ["volume list"],
    load: () => import("./commands/volume.ts"),
  },
  {
    name: "volume create",
    summary: "Make a volume",
    aliases: [],
    hidden: true,
    load: () => import("./commands/volumeCreate.ts"),
  },
  {
    name: "volume inspect",
    summary: "Show all about volumes as JSON",
    aliases: [],
    hidden: true,
    load: () => import("./commands/volumeInspect.ts"),
  },
  {
    name: "volume rm",
    summary: "Remove volumes",
    aliases: ["volume remove"],
    hidden: true,
    load: () => import("./commands/volumeRm.ts"),
  },
  {
    name: "healthcheck run",
    summary: "Run a container's health check now",
    aliases: [],
    hidden: true,
    load: () => import("./commands/healthcheckRun.ts"),
  },
  {
    name: "container ended",
    summary: "What a container's monitor runs when it has ended",
    aliases: [],
    hidden: true,
    load: () => import("./commands/containerEnded.ts"),
  },
  {
    name: "container check",
    summary: "What a container's watcher runs for its health check",
    aliases: [],
    hidden: true,
    load: () => import("./commands/containerCheck.ts"),
  },
  {
    name: "diff",
    summary: "List what a container has written over its image",
    aliases: ["container diff"],
    load: () => import("./commands/diff.ts"),
  },
  {
    name: "commit",
    summary: "Make an image from what a container has written",
    aliases: ["container commit"],
    load: () => import("./commands/commit.ts"),
  },
  {
    name: "rm",
    summary: "Remove containers",
    aliases: ["container rm", "container remove"],
    load: () => import("./commands/rm.ts"),
  },
  {
    name: "inspect",
    summary: "Show all about containers or images as JSON",
    aliases: [],
    load: () => import("./commands/inspect.ts"),
  },
  {
    name: "image inspect",
    summary: "Show all about images as JSON",
    aliases: [],
    load: () => import("./commands/imageInspect.ts"),
  },
  {
    name: "container inspect",
    summary: "Show all about containers as JSON",
    aliases: [],
    hidden: true,
    load: () => import("./commands/containerInspect.ts"),
  },
  {
    name: "builds",
    summary: "List recorded builds; `builds show`, `builds logs`",
    aliases: ["builds ls"],
    load: () => import("./commands/builds.ts"),
  },
  {
    name: "builds show",
    summary: "Show the steps of a recorded build",
    aliases: [],
    hidden: true,
    load: () => import("./commands/buildsShow.ts"),
  },
  {
    name: "builds logs",
    summary: "Show the whole log of a recorded build or step",
    aliases: [],
    hidden: true,
    load: () => import("./commands/buildsLogs.ts"),
  },
  { name: "version", summary: "Show the version", aliases: [], load: () => import("./commands/version.ts") },
  {
    name: "info",
    summary: "Show how slipway works on this host",
    aliases: ["system info"],
    load: () => import("./commands/info.ts"),
  },
];

/** The command that the words begin with, the longest spelling first, and how many words it took. */
export function findCommand(words: readonly string[]): { entry: CommandEntry; words: number } | undefined {
  for (const count of [2, 1]) {
    if (words.length < count) continue;
    const spelled = words.slice(0, count).join(" ");
    const entry = commandTable.find((each) => each.name === spelled || each.aliases.includes(spelled));
    if (entry !== undefined) return { entry, words: count };
  }
  return undefined;
}
