/** How long a test waits for a condition before it gives up: a limit is only there to end what hangs, on however busy a machine. */
export const PATIENCE = { timeout: 90_000, interval: 50 } as const;
