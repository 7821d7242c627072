/** Link types that can be decoded, by their LINKTYPE_ number (tcpdump.org/linktypes.html). */
export const linkTypes: ReadonlyMap<number, string> = new Map([
  [0, 'NULL'],
  [1, 'EN10MB'],
  [12, 'RAW'],
  [14, 'RAW'],
  [101, 'RAW'],
  [108, 'LOOP'],
  [113, 'LINUX_SLL'],
  [228, 'IPV4'],
  [229, 'IPV6'],
  [276, 'LINUX_SLL2'],
]);

/** The same for people: `NULL, EN10MB, RAW, ...`. */
export const linkTypeNames = [...new Set(linkTypes.values())].join(', ');
