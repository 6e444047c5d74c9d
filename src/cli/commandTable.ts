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
    name: "push",
    summary: "Upload an image to a registry",
    aliases: ["image push"],
    load: () => import("./commands/push.ts"),
  },
  {
    name: "login",
    summary: "Log in to a registry",
    aliases: [],
    load: () => import("./commands/login.ts"),
  },
  {
    name: "logout",
    summary: "Forget the credentials of a registry",
    aliases: [],
    load: () => import("./commands/logout.ts"),
  },
  {
    name: "registry serve",
    summary: "Serve the images of the store by the registry protocol",
    aliases: [],
    load: () => import("./commands/registryServe.ts"),
  },
  {
    name: "manifest create",
    summary: "Make and push lists of images of several platforms: `manifest annotate`, `inspect`, `push`, `rm`",
    aliases: [],
    load: () => import("./commands/manifestCreate.ts"),
  },
  {
    name: "manifest annotate",
    summary: "Say which platform an image of a manifest list is for",
    aliases: [],
    hidden: true,
    load: () => import("./commands/manifestAnnotate.ts"),
  },
  {
    name: "manifest inspect",
    summary: "Show a manifest list, or a manifest of a registry",
    aliases: [],
    hidden: true,
    load: () => import("./commands/manifestInspect.ts"),
  },
  {
    name: "manifest push",
    summary: "Upload a manifest list",
    aliases: [],
    hidden: true,
    load: () => import("./commands/manifestPush.ts"),
  },
  {
    name: "manifest rm",
    summary: "Forget manifest lists",
    aliases: [],
    hidden: true,
    load: () => import("./commands/manifestRm.ts"),
  },
  {
    name: "imagetools create",
    summary: "Make one image of several platforms from images of registries",
    aliases: ["buildx imagetools create"],
    load: () => import("./commands/imagetoolsCreate.ts"),
  },
  {
    name: "imagetools inspect",
    summary: "Show what a registry has under a name",
    aliases: ["buildx imagetools inspect"],
    load: () => import("./commands/imagetoolsInspect.ts"),
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
    name: "save",
    summary: "Write images into an archive",
    aliases: ["image save"],
    load: () => import("./commands/save.ts"),
  },
  {
    name: "load",
    summary: "Read images from an archive",
    aliases: ["image load"],
    load: () => import("./commands/load.ts"),
  },
  {
    name: "import",
    summary: "Make an image from the tar of a file system",
    aliases: ["image import"],
    load: () => import("./commands/import.ts"),
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
    name: "export",
    summary: "Write a container's file system as a tar",
    aliases: ["container export"],
    load: () => import("./commands/export.ts"),
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
    name: "image diff",
    summary: "Show which files and settings differ between two images",
    aliases: [],
    load: () => import("./commands/imageDiff.ts"),
  },
  {
    name: "image copy",
    summary: "Copy an image between registries, archives, layouts and the store",
    aliases: [],
    load: () => import("./commands/imageCopy.ts"),
  },
  {
    name: "image rebase",
    summary: "Put what an image adds to its base over another base, without a build",
    aliases: [],
    load: () => import("./commands/imageRebase.ts"),
  },
  {
    name: "container inspect",
    summary: "Show all about containers as JSON",
    aliases: [],
    hidden: true,
    load: () => import("./commands/containerInspect.ts"),
  },
  {
    name: "port",
    summary: "Show which ports of the host lead to a container",
    aliases: ["container port"],
    load: () => import("./commands/port.ts"),
  },
  {
    name: "network create",
    summary: "Create a network whose containers find each other by name",
    aliases: [],
    load: () => import("./commands/networkCreate.ts"),
  },
  {
    name: "network ls",
    summary: "List networks",
    aliases: ["network list"],
    load: () => import("./commands/networkLs.ts"),
  },
  {
    name: "network inspect",
    summary: "Show all about networks as JSON",
    aliases: [],
    load: () => import("./commands/networkInspect.ts"),
  },
  {
    name: "network connect",
    summary: "Put a container into a further network",
    aliases: [],
    load: () => import("./commands/networkConnect.ts"),
  },
  {
    name: "network disconnect",
    summary: "Take a container out of a network",
    aliases: [],
    load: () => import("./commands/networkDisconnect.ts"),
  },
  {
    name: "network rm",
    summary: "Remove networks that no running container is in",
    aliases: ["network remove"],
    load: () => import("./commands/networkRm.ts"),
  },
  {
    name: "network prune",
    summary: "Remove all networks that no running container is in",
    aliases: [],
    load: () => import("./commands/networkPrune.ts"),
  },
  {
    name: "network forward",
    summary: "Lead a plain user's published ports to a container",
    aliases: [],
    hidden: true,
    load: () => import("./commands/networkForward.ts"),
  },
  {
    name: "network release",
    summary: "Take away what is left of an ended container's network",
    aliases: [],
    hidden: true,
    load: () => import("./commands/networkRelease.ts"),
  },
  {
    name: "builds",
    summary: "List recorded builds; `builds show`, `builds logs`, `builds shell`",
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
  {
    name: "builds rm",
    summary: "Remove recorded builds with their logs",
    aliases: ["builds remove"],
    hidden: true,
    load: () => import("./commands/buildsRm.ts"),
  },
  {
    name: "builds shell",
    summary: "Open a shell in the result of a step of a recorded build",
    aliases: [],
    hidden: true,
    load: () => import("./commands/buildsShell.ts"),
  },
  { name: "version", summary: "Show the version", aliases: [], load: () => import("./commands/version.ts") },
  {
    name: "unshare",
    summary: "Run a command as root of the user's own namespace",
    aliases: [],
    load: () => import("./commands/unshare.ts"),
  },
  {
    name: "info",
    summary: "Show how slipway works on this host",
    aliases: ["system info"],
    load: () => import("./commands/info.ts"),
  },
  {
    name: "system df",
    summary: "Show what the store has on the disk",
    aliases: [],
    load: () => import("./commands/systemDf.ts"),
  },
  {
    name: "cache",
    summary: "List cache mounts; `cache du`, `prune`, `export`, `import`",
    aliases: ["cache ls", "cache list"],
    load: () => import("./commands/cacheLs.ts"),
  },
  {
    name: "cache du",
    summary: "Show what cache mounts have on the disk",
    aliases: [],
    hidden: true,
    load: () => import("./commands/cacheDu.ts"),
  },
  {
    name: "cache prune",
    summary: "Remove cache mounts",
    aliases: [],
    hidden: true,
    load: () => import("./commands/cachePrune.ts"),
  },
  {
    name: "cache export",
    summary: "Write a cache mount as a tar",
    aliases: [],
    hidden: true,
    load: () => import("./commands/cacheExport.ts"),
  },
  {
    name: "cache import",
    summary: "Fill a cache mount from a tar",
    aliases: [],
    hidden: true,
    load: () => import("./commands/cacheImport.ts"),
  },
  {
    name: "system prune",
    summary: "Remove what nothing uses: containers, images, build cache",
    aliases: [],
    load: () => import("./commands/systemPrune.ts"),
  },
  {
    name: "image prune",
    summary: "Remove images without a name, or that nothing uses",
    aliases: [],
    hidden: true,
    load: () => import("./commands/imagePrune.ts"),
  },
  {
    name: "container prune",
    summary: "Remove all stopped containers",
    aliases: [],
    hidden: true,
    load: () => import("./commands/containerPrune.ts"),
  },
  {
    name: "volume prune",
    summary: "Remove volumes that no container has",
    aliases: [],
    hidden: true,
    load: () => import("./commands/volumePrune.ts"),
  },
  {
    name: "builder prune",
    summary: "Remove build cache",
    aliases: ["buildx prune"],
    load: () => import("./commands/builderPrune.ts"),
  },
  {
    name: "builder du",
    summary: "Show what the build cache has on the disk",
    aliases: ["buildx du"],
    hidden: true,
    load: () => import("./commands/builderDu.ts"),
  },
];

/** The command that the words begin with, the longest spelling first, and how many words it took. */
export function findCommand(words: readonly string[]): { entry: CommandEntry; words: number } | undefined {
  for (const count of [3, 2, 1]) {
    if (words.length < count) continue;
    const spelled = words.slice(0, count).join(" ");
    const entry = commandTable.find((each) => each.name === spelled || each.aliases.includes(spelled));
    if (entry !== undefined) return { entry, words: count };
  }
  return undefined;
}
