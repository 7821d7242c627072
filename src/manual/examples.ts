/** Examples of commands, by their names after `inband`: what one does, and how. */
export const examples: Readonly<Record<string, readonly (readonly [what: string, command: string])[]>> = {
  '': [
    [
      'A load balancer before two servers, measured and controlled:',
      'inband run --interface eth0 --vip 10.0.0.100:80/tcp \\\n  --backend 10.0.0.11 --backend 10.0.0.12',
    ],
    ['What it does, and why a server has the share that it has:', 'inband status\ninband why 10.0.0.11'],
  ],
  run: [
    ['With a configuration file, which SIGHUP reads again:', 'inband run --config /etc/inband/inband.yaml'],
    [
      'With metrics for Prometheus and a dashboard on this machine:',
      'inband run --config /etc/inband/inband.yaml --http 127.0.0.1:9464',
    ],
  ],
  check: [['Before a file is put in place:', 'inband check --strict inband.yaml']],
  diff: [
    ['What a file would change in the running daemon:', 'inband diff inband.yaml'],
    ['What two files differ in:', 'inband diff old.yaml new.yaml'],
  ],
  doctor: [
    [
      'Whether this machine can run inband, and whether clients find the vip and frames reach a server:',
      'inband doctor --interface eth0 --vip 10.0.0.100:80/tcp --backend 10.0.0.11',
    ],
  ],
  'backend-setup': [
    [
      'What a server needs, and then doing it:',
      'inband backend-setup --vip 10.0.0.100:80/tcp\ninband backend-setup --vip 10.0.0.100:80/tcp --apply',
    ],
  ],
  replay: [
    [
      'Latencies of a capture, with a page to read in a browser:',
      'inband replay lb.pcap.gz --report report.html',
    ],
  ],
  samples: [['Latency samples as they are taken, one JSON object a line:', 'inband samples --follow']],
  completion: [
    [
      'For bash, in this shell; for zsh, for all of them; for fish:',
      'source <(inband completion bash)\ninband completion zsh > /usr/local/share/zsh/site-functions/_inband\ninband completion fish > ~/.config/fish/completions/inband.fish',
    ],
  ],
};
