import type { Linux } from "../../linux/Linux.ts";
import { isErrno } from "../../linux/LinuxError.ts";
import type { ScreenSize } from "./screen.ts";

/** The size that the terminal `fd` has at each call (the runtime's own `columns` are those of the first time); zeros where it is none. */
export function terminalSize(fd: number, linux: Linux): () => ScreenSize {
  return () => {
    try {
      return linux.getWindowSize(fd);
    } catch (error) {
      if (!isErrno(error, "ENOTTY", "EBADF", "EIO", "EINVAL")) throw error;
      return { rows: 0, columns: 0 };
    }
  };
}
