# Debian's stress-ng checks what it computes: so many operations of each class, by two workers at once, EFFORT times
# as many where that is given. What it says is left out unless something has failed.
result=0
# stress CLASS OPERATIONS OPTION...
stress() {
  class=$1 operations=$(($2 * ${EFFORT:-1}))
  shift 2
  stress-ng --verify --metrics-brief --no-rand-seed --temp-path /tmp --"$class" 2 --"$class"-ops "$operations" "$@" >/tmp/said 2>&1
  status=$?
  # Workers may do one more while they are told to end.
  done=$(gawk -v class="$class" '$4 == class && $5 ~ /^[0-9]+$/ { print $5 }' /tmp/said)
  if [ $status -eq 0 ] && [ "${done:-0}" -ge $operations ]; then
    echo "stress-ng: $class: at least $operations operations, no failure"
  else
    echo "stress-ng: $class: status $status, ${done:-0} of $operations operations"
    cat /tmp/said
    result=1
  fi
}
stress cpu 200 --cpu-method all
stress vecmath 40
stress memcpy 20
stress fork 200
stress futex 2000
stress timer 500
exit $result
