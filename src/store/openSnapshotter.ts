import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Snapshotter, StorageName, StorageWish } from "./Snapshotter.ts";
import type { Store } from "./Store.ts";

/**
 * The store's snapshotter. Which it is, is found when the first root file system is asked for, so that a command which needs none pays nothing; with
 * `auto` by what `chooseStorage` keeps. A directory that was prepared before stays with what it was prepared by, as far as that works here.
 */
export function openSnapshotter(store: Store, wish: StorageWish): Snapshotter {
  const made = new Map<StorageName, Snapshotter>();
  let chosen: StorageName | undefined;
  /** How many have asked for `reuse`, of those that are made yet or later. */
  let reused = 0;
  const ends: (() => void)[] = [];

  function own(): Snapshotter {
    if (chosen === undefined) {
      const { chooseStorage } = require("./chooseStorage.ts") as typeof import("./chooseStorage.ts");
      chosen = wish === "auto" ? chooseStorage(store).name : wish;
    }
    return get(chosen);
  }

  function get(name: StorageName): Snapshotter {
    const known = made.get(name);
    if (known !== undefined) return known;
    const snapshotter = create(store, name);
    made.set(name, snapshotter);
    if (reused > 0) ends.push(snapshotter.reuse());
    return snapshotter;
  }

  /** That of the directory. */
  function of(directory: string): Snapshotter {
    const snapshotter = own();
    if (existsSync(join(directory, "prepared"))) return get("copy");
    if (snapshotter.name !== "fuse" && existsSync(join(directory, "fuse"))) {
      const { takeOverFromFuse } = require("./fuse.ts") as typeof import("./fuse.ts");
      takeOverFromFuse(store.linux, directory);
    }
    if (snapshotter.name === "copy" && existsSync(join(directory, "upper"))) return get("overlay");
    return snapshotter;
  }

  return {
    get name() {
      return own().name;
    },
    prepare: (layers, directory, options) => of(directory).prepare(layers, directory, options),
    view: (layers) => own().view(layers),
    written: (layers, directory) => of(directory).written(layers, directory),
    copyWritten: (layers, directory, target, amend) => of(directory).copyWritten(layers, directory, target, amend),
    reuse() {
      reused++;
      for (const snapshotter of made.values()) ends.push(snapshotter.reuse());
      return () => {
        reused--;
        if (reused === 0) for (const end of ends.splice(0)) end();
      };
    },
    moment: (layers, directory) => of(directory).moment(layers, directory),
  };
}

/** Each is loaded where it is needed: no command needs them all. */
function create(store: Store, name: StorageName): Snapshotter {
  switch (name) {
    case "overlay": {
      const { createOverlaySnapshotter } = require("./overlay.ts") as typeof import("./overlay.ts");
      return createOverlaySnapshotter(store);
    }
    case "fuse": {
      const { createFuseSnapshotter } = require("./fuse.ts") as typeof import("./fuse.ts");
      return createFuseSnapshotter(store);
    }
    case "copy": {
      const { createCopySnapshotter } = require("./copy.ts") as typeof import("./copy.ts");
      return createCopySnapshotter(store);
    }
  }
}
