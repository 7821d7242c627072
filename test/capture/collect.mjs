// Collects garbage all the time in the process that imports this.
import v8 from 'node:v8';
import vm from 'node:vm';

v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc');
setInterval(collect, 100).unref();
