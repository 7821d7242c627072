/** Why another law has a lower p99 in a scenario, where that is understood. */
export const notes: Readonly<Record<string, string>> = {};
