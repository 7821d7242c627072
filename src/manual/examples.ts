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
  drain: [
    [
      'Before a server is removed from the file: wait until its connections have ended.',
      'inband drain 10.0.0.11 --wait --timeout 5m',
    ],
  ],
  maintenance: [
    ['Work on a server, and afterwards:', 'inband maintenance 10.0.0.11\ninband ready 10.0.0.11'],
  ],
  weight: [
    [
      'Half of what others get, and as configured again:',
      'inband weight 10.0.0.11 0.5\ninband weight 10.0.0.11 default',
    ],
  ],
  reload: [
    [
      'After a change, and a look at what it does:',
      'inband check inband.yaml\ninband diff inband.yaml\ninband reload',
    ],
  ],
  flows: [
    [
      'Flows of a server, and of a client:',
      'inband flows --backend 10.0.0.11\ninband flows --client 10.0.0.201',
    ],
  ],
  trace: [['Where packets of a client go, and why:', 'inband trace 10.0.0.201:40000 10.0.0.100:80/tcp']],
  top: [['One frame, for a script:', 'inband top --once']],
  bundle: [['For whoever looks for a fault:', 'inband bundle inband.tar.gz']],
  detach: [
    [
      'After the daemon has ended, so that the interface is as it was before:',
      'inband detach --interface eth0',
    ],
  ],
  completion: [
    [
      'For bash, in this shell; for zsh, for all of them; for fish:',
      'source <(inband completion bash)\ninband completion zsh > /usr/local/share/zsh/site-functions/_inband\ninband completion fish > ~/.config/fish/completions/inband.fish',
    ],
  ],
};
