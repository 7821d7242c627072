import { createRequire } from 'node:module';

// Attaches `nothing` of an object file to an interface, says so, and waits to be killed.
const [addonPath, objectPath, ifindex] = process.argv.slice(2);
const addon = createRequire(import.meta.url)(addonPath);
const { handle, programs } = addon.open(objectPath);
addon.load(handle);
const nativeMode = 1 << 2;
globalThis.link = addon.attach(handle, programs.indexOf('nothing'), Number(ifindex), nativeMode);
console.log('attached');
setInterval(() => {}, 1000);
