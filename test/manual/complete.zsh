# zsh -f complete.zsh FOLDER LINE RESULT: what zsh offers for LINE with the completions in FOLDER goes to the file RESULT.
# zsh completes on a terminal only, so it gets one; every word that is added there is written down.
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PS1= FOLDER=${(q)1} RESULT=${(q)3}"
zpty -w z 'fpath=($FOLDER $fpath); autoload -U compinit; compinit -u -D; LISTMAX=10000'
zpty -w z 'compadd() {
  local -a added
  if [[ " $* " != *" -"[OAD]" "* ]]; then
    builtin compadd -O added "$@"
    print -rl -- $added >> $RESULT
  fi
  builtin compadd "$@"
}'
# What is typed may be read before zsh edits lines: then Tab waits there, but keys that erase would not.
zpty -w z 'inband() { print -r -- END >> $RESULT }'
zpty -w z "$2"$'\t'
until [[ -e $3 ]] && grep -qx END $3; do
  zpty -r -t z output || sleep 0.02
done
zpty -d z
