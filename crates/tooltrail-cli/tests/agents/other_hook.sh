#!/bin/sh
# A hook beside tooltrail's: notes each event in a file, and refuses a call that has the word FORBIDDEN.
# Usage: other_hook.sh EVENT NOTES REFUSAL (the last is empty for events that cannot refuse a call)
event=$(cat)
printf '{"event":"%s","sent":%s}\n' "$1" "$event" >>"$2"
case $event in
*FORBIDDEN*) printf '%s' "$3" ;;
esac
