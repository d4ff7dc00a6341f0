export { filesystemStorage } from "./filesystem.ts";
export { memoryStorage } from "./memory.ts";
