export const VERSION = "0.1.0";

/** What manifests name as their maker. */
export const TOOL: string = `lifeboat ${VERSION}`;
