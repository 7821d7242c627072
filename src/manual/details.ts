/** What the page of a command says beyond its help, by paragraphs. */
export const details: Readonly<Record<string, readonly string[]>> = {
  run: [
    'It stays in the foreground and logs to standard error: JSON, or text on a terminal. Every flag but `--config` is a key of the configuration file as well, see `inband.yaml`(5); without a file, `--interface`, `--vip` and `--backend` are needed.',
    'Forwarding goes on after it has ended, unless `--detach` was given: the next `inband run` on the interface takes over. Only one can run on an interface.',
  ],
  detach: [
    'Flows are lost: clients connect anew, or fail when nobody else has the vip. While a daemon runs it is refused.',
  ],
  check: [
    'Each mistake is a line `file:line:column: path: message`, with what was probably meant. Nothing is asked of the machine or of a running daemon.',
  ],
  diff: ['Exit status is 0 whether or not they differ.'],
  reload: [
    'All of the file takes effect, or nothing of it. Flows of backends that stay keep them, and no more slots move than must. Keys that need another process make it fail with the list of them.',
    'It returns when the new configuration is in effect, and says what changed.',
  ],
  backends: [
    '`state` is what the operator wants: ready, drain or maintenance. `health` is what checks say: up, down, starting (not passed yet) or unchecked; a backend may be ejected besides, because of what clients met there. `share` is the part of new flows that it gets, `flows` how many it holds.',
  ],
  flows: [
    'Flows that closed are listed for 10 s more. The table is looked at in slices while the load balancer goes on to control.',
  ],
  drain: [
    'Backends are named as in the configuration, by address. One that is in several vips is drained in all of them, unless `--vip` names one.',
    'The state is kept over reloads and restarts until `inband ready`. When all other backends of a vip are down, a drained one still gets no new flows.',
  ],
  maintenance: [
    'As `inband drain`, and the backend is not checked. Established flows go on there with `lost_flows: keep`, which is the default.',
  ],
  ready: ['Undoes `inband drain` and `inband maintenance`. The share comes back over `health.slow_start`.'],
  weight: [
    'It is kept over reloads and restarts until it is `default` again. Flows stay where they are. The weight 0 gives no new flows.',
  ],
  trace: [
    'Looks for a flow of that client, and else for the slot that its next packet would take; then says why the backend there has it.',
  ],
  top: [
    'Its last line has the keys. 80 columns and 24 lines are enough, and colours are not needed. The terminal is as before when it ends, however it does.',
  ],
  bundle: [
    'Parts that cannot be had are replaced by the reason. Secrets of the configuration are left out; addresses of servers, vips and neighbours are in. The archive is made with mode 0600.',
  ],
};
