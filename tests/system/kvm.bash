# SPDX-License-Identifier: Apache-2.0
# What the files about virtual machines share. After lib.bash.

# A case leaves nothing, and libvirt nothing either.
teardown() { end_kvm_case; }
end_kvm_case() {
  end_case
  local left
  left=$(libvirt_is_clean) || {
    touch "$PLAYGROUND/dirty"
    fail "the case leaves with libvirt:$left"
  }
}
# For a file whose cases share one guest, made in setup_file: the end of a case is not the guest's.
keep_guest_at_the_end_of_a_case() {
  teardown() { restore_configuration; }
  teardown_file() { end_kvm_case; }
}

virsh() { timeout "$((20 * SLOWNESS))" virsh -q -c qemu:///system "$@" 3>&-; }
libvirt_is_clean() {
  local left=''
  eventually no_domain 2>/dev/null || left+=" domains: $(virsh list --all --name | xargs)"
  # One for each job would be there for ever.
  left+=$(find /var/log/libvirt/qemu -name "sc-*" -printf ' log:%p')
  [ -z "$left" ] || { echo "$left"; return 1; }
}
no_domain() { local names; names=$(virsh list --all --name) && [ -z "$(grep . <<<"$names")" ]; }

# JOB: whether its machine is ready, or will never be.
has_settled() { phase_is "$1" ready || phase_is "$1" failed; }
# JOB: the process of its QEMU.
qemu_of() {
  local pid
  read -r pid _ <"$STATE/machines/sc-$NODE-$1/qemu"
  echo "$pid"
}
# JOB NAME: the processes of that name in the groups of its extern step, where the machine lives.
of_machine() {
  local pid
  for pid in $(pgrep -x "$2"); do if grep -qs "/job_$1/step_extern/" "/proc/$pid/cgroup"; then echo "$pid"; fi; done
}
# The id that QEMUs of the user's machines run with: the last but two of the user's range.
engine_id() { echo $(($(sed -n 's/^subid_first = //p' "$CONFIG") + 65533)); }
# PID: the CPU time that it has had, in hundredths of a second.
ticks_of() {
  local fields
  read -ra fields <"/proc/$1/stat"
  echo $((fields[13] + fields[14]))
}

# As root in the guest, through its console, the machine can try anything.
# JOB COMMAND: what the command prints there.
console() {
  as_user perl -MSocket -e '
    my ($path, $command, $limit) = @ARGV;
    socket(my $s, AF_UNIX, SOCK_STREAM, 0); connect($s, pack_sockaddr_un($path)) or die "console: $!\n";
    my $mark = time . "x$$";
    # The halves meet only when the shell has run them.
    my $line = "echo be\"gins-$mark\"; $command; echo en\"ds-$mark\"\n";
    # A key after the other, as a serial line has it.
    select(undef, undef, undef, 0.002), syswrite $s, $_ for split //, "\n$line";
    my ($all, $end) = ("", time + $limit);
    while (time < $end && $all !~ /ends-$mark/) {
      my $wanted = ""; vec($wanted, fileno($s), 1) = 1;
      next unless select($wanted, undef, undef, 1);
      sysread($s, my $bytes, 4096) or last;
      $all .= $bytes;
    }
    $all =~ s/.*begins-$mark//s;
    print $all' "$RUN/jobs/$1/console.sock" "$2" "$((60 * SLOWNESS))" 2>&1
}
