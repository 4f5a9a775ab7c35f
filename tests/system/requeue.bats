# SPDX-License-Identifier: Apache-2.0
# A requeued job keeps its number and gets a machine anew. Slurm holds it back for two minutes, unless it is told to start
# it at once. For about two seconds after the end of the first run, slurmd 22.05 takes the second one on the same node for
# the first: it runs no prolog for it, or starts nothing at all.
load lib

# A job whose step says where it runs, in a file of the node's name; it is in its machine on the first node.
begin_first_run() {
  job=$(as_user sbatch --parsable -o %N.out --requeue --cloud-type=lxc --wrap 'srun -Q hostname; exec sleep 1000')
  eventually says "^$NODE-$job\$" "$NODE.out"
}
requeue() {
  scontrol requeue "$job"
  eventually is_pending || fail "it is not requeued: $(squeue -h -j "$job" -o '%t %r')"
}
is_pending() { [ "$(squeue -h -j "$job" -o %t)" = PD ]; }
restart_count_is() { says "\"restart_count\": $1\b" "$2/jobs/$job/record.json"; }
is_past() { [ "$(date +%s)" -gt "$1" ]; }
has_spoken_or_ended() { [ -s "$NODE.out" ] || no_jobs; }

@test "a requeued job has a machine anew on another node, at once" {
  begin_first_run
  restart_count_is 0 "$STATE"
  requeue
  # What the first run had is gone before that.
  [ ! -e "$STATE/jobs/$job" ]
  [ ! -e "$RUN/jobs/$job" ]
  scontrol update jobid="$job" partition=second StartTime=now
  eventually says "^$SECOND_NODE-$job\$" "$SECOND_NODE.out"
  restart_count_is 1 "$PLAYGROUND/state/$SECOND_NODE"
  end_jobs "$job"
}

@test "a requeued job has a machine anew on the same node" {
  begin_first_run
  requeue
  # The second run makes it anew.
  rm -f "$NODE.out"
  # (It counts whole seconds.)
  eventually is_past "$(($(date +%s) + 2))"
  scontrol update jobid="$job" StartTime=now
  eventually says "^$NODE-$job\$" "$NODE.out" || fail "$(squeue -h -j "$job" -o '%t %r'): $(cat "$NODE.out" 2>&1)"
  restart_count_is 1 "$STATE"
  end_jobs "$job"
}

# bats test_tags=long
@test "a requeued job has a machine anew on the same node, when Slurm lets it start" {
  begin_first_run
  requeue
  rm -f "$NODE.out"
  LIMIT=600 eventually says "^$NODE-$job\$" "$NODE.out" || fail "$(squeue -h -j "$job" -o '%t %r'): $(cat "$NODE.out" 2>&1)"
  restart_count_is 1 "$STATE"
  end_jobs "$job"
}

@test "a requeued job that starts in haste runs in a machine, or fails, but not on the bare node" {
  begin_first_run
  requeue
  rm -f "$NODE.out"
  scontrol update jobid="$job" StartTime=now
  eventually has_spoken_or_ended
  # It depends on the clock which of the three comes: its machine's name, why there is no machine, or slurmd's silent refusal.
  if [ -s "$NODE.out" ]; then
    run -0 cat "$NODE.out"
    assert_line --regexp "^$NODE-$job\$|has no machine on node"
    refute_line "$HOST"
  else
    assert_regex "$(scontrol show job "$job")" "JobState=FAILED"
  fi
  end_jobs "$job"
}
