#!/usr/bin/env bash
# usage: test_completion.sh UFMSYNCCTL: bash takes the script that it prints, and completes by it.
set -euo pipefail

tool=$1
failed=0
source <("$tool" completion bash)

# The words so far, the last one unfinished; what it may become.
expect() {
	local wanted=$1
	shift
	COMP_WORDS=(ufmsyncctl "$@")
	COMP_CWORD=$#
	_ufmsyncctl
	if [ "${COMPREPLY[*]}" != "$wanted" ]; then
		echo "$*: '${COMPREPLY[*]}' instead of '$wanted'" >&2
		failed=1
	fi
}

expect "pods pod pool" po
expect "pods pod pool" -n somewhere po
expect "pods pod pool" --watch po
expect "--state --service-namespace --server" pods --s
expect "--state --service-namespace --server" -o json pods --s
expect "--timeout --token-file --tls-server-name" audit --t
expect "table wide json yaml name" pods -o ""
expect "bash" completion b
expect "" pods -n p
for word in $("$tool" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
	COMP_WORDS=(ufmsyncctl "$word") COMP_CWORD=1
	_ufmsyncctl
	[[ " ${COMPREPLY[*]} " == *" $word "* ]] || { echo "$word is not completed" >&2; failed=1; }
done
exit $failed
