import type { Records } from "./database.ts";
import type { Settings } from "./Store.ts";

export function createSettings(records: Records): Settings {
  return {
    get: (key) => records.first<{ value: string }>("SELECT value FROM settings WHERE key = ?", key)?.value,
    set: (key, value) => void records.run("INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)", key, value),
    delete: (key) => void records.run("DELETE FROM settings WHERE key = ?", key),
  };
}
