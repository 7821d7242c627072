import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** Where native sources are and where what is built from them goes, in the repository and in the installed package alike. */
export const paths = {
  header: at('native/include/inband.h'),
  include: at('native/include'),
  bpf: at('native/bpf'),
  addon: at('native/addon'),
  bench: at('native/bench'),
  lab: at('native/lab'),
  /** Only there where inband is worked on: a package has what is made from it. */
  sources: at('src'),
  layout: at('src/generated/layout.ts'),
  nativeOut: at('build/native'),
  labOut: at('build/lab'),
  benchOut: at('build/bench'),
};
