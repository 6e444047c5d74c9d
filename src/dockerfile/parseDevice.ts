import { SlipwayError } from "../oci/SlipwayError.ts";
import { csvFields } from "./csvFields.ts";
import { parseBool } from "./parseBool.ts";

export interface DeviceFlag {
  /** A CDI name, or a class of devices. */
  name: string;
  /** The build fails where the device is not there. */
  required: boolean;
}

/** Reads the value of one `RUN --device`: `name[,required]`. @throws SlipwayError `INVALID_DEVICE` */
export function parseDevice(text: string): DeviceFlag {
  const device: DeviceFlag = { name: "", required: false };
  for (const field of fieldsOf(text)) {
    const equals = field.indexOf("=");
    const key = equals < 0 ? field : field.slice(0, equals);
    const value = equals < 0 ? undefined : field.slice(equals + 1);
    if (key === "required") {
      const required = value === undefined ? true : parseBool(value);
      if (required === undefined) throw invalid(`invalid value for required: ${value}`);
      device.required = required;
    } else if (key === "name" && value !== undefined && device.name === "") device.name = value;
    // A CDI name has an equals sign of its own.
    else if (device.name === "") device.name = field;
    else throw invalid(`unexpected key '${key}' in '${field}'`);
  }
  if (device.name === "") throw invalid("device name is not set");
  return device;
}

function fieldsOf(text: string): string[] {
  try {
    return csvFields(text);
  } catch (error) {
    throw invalid(`failed to parse csv devices: ${(error as Error).message}`);
  }
}

function invalid(message: string): SlipwayError {
  return new SlipwayError("INVALID_DEVICE", message);
}
