# SPDX-License-Identifier: Apache-2.0
# Jobs that end in every way, and many at once: each has a machine of its own, and nothing of it is left.
load lib

teardown() {
  rm -rf "$STATE/quarantine" "$PLAYGROUND"/elsewhere "$PLAYGROUND"/elsewhere.run
  end_case
}

# PATTERN: how many machines have said their names into the files.
names_in() { sort -u $1 | grep -cx "$NODE-[0-9]*"; }

@test "scancel ends a task and its machine" {
  as_user srun -Q -J victim --cloud-type=lxc sh -c 'echo up; exec sleep 1000' >out 2>&1 &
  local task=$! status=0
  eventually says '^up$' out
  scancel "$(job_id_of victim)"
  wait "$task" || status=$?
  assert [ $status != 0 ]
  node_is_clean
}

@test "each element of a job array has its own machine" {
  local elements
  elements=$(count 12 200)
  as_user sbatch -Q --array="1-$elements" -o 'out.%a' --cloud-type=lxc --wrap 'srun -Q hostname'
  LIMIT=600 eventually no_jobs
  assert_equal "$(names_in 'out.*')" "$elements"
  node_is_clean
}

@test "so has each of many jobs that are submitted at once" {
  local jobs i
  jobs=$(count 8 20)
  for ((i = 0; i < jobs; i++)); do as_user sbatch -Q -o "out.$i" --cloud-type=lxc --wrap 'srun -Q hostname' & done
  wait
  LIMIT=200 eventually no_jobs
  assert_equal "$(names_in 'out.*')" "$jobs"
  node_is_clean
}

@test "jobs that are cancelled at any moment leave nothing" {
  local jobs i
  jobs=$(count 12 100)
  for ((i = 0; i < jobs; i++)); do
    begin_machine lxc
    # From the submission to a machine that runs.
    nap "0.$(printf %03d $((i * 600 / jobs)))"
    scancel "$job"
  done
  node_is_clean
}

@test "a machine that ends by itself is noticed" {
  machine lxc
  kill -9 "$(state_of "$job" init_pid)"
  eventually phase_is "$job" ended
  end_jobs "$job"
  node_is_clean
}

@test "the machine of a killed keeper is ended by the epilog" {
  machine lxc
  kill -9 "$(state_of "$job" keeper_pid)"
  end_jobs "$job"
  node_is_clean
}

@test "a machine whose record is damaged while it runs is ended by the epilog" {
  machine lxc
  echo garbage >"$STATE/jobs/$job/record.json"
  end_jobs "$job"
  node_is_clean
}

# What an editor may leave of the configuration while a job runs. Its folders are not the default ones.
# COMMAND...: changes the configuration when a machine is up; its job ends with the one that it began with.
ends_well_after() {
  local own
  machine lxc
  own=$(compgen -G "/run/spank-cloud/records/$NODE*/jobs/$job")
  "$@"
  end_jobs "$job"
  node_is_clean
  # The job's own configuration is forgotten.
  assert [ ! -e "$own" ]
}

@test "a configuration that is broken does not keep a job from ending" {
  break_it() { echo '[cloud' >>"$CONFIG"; }
  ends_well_after break_it
}

@test "nor does one that has gone" {
  ends_well_after mv "$CONFIG" config.gone
}

@test "nor one that names another state_dir" {
  ends_well_after sed -i "s#^state_dir.*#state_dir = \"$PLAYGROUND/elsewhere\"#" "$CONFIG"
}

@test "nor one that names another pool with another lease file" {
  rename_pool() {
    cp "$LEASES" leases
    sed -i "s#$LEASES#$HOME_DIR/leases#; s/^pool = \"playground\"/pool = \"renamed\"/; s/^\[pool.playground\]/[pool.renamed]/" "$CONFIG"
    run -0 grep -c -e renamed -e "$HOME_DIR/leases" "$CONFIG"
    assert [ "$output" -ge 3 ]
  }
  ends_well_after rename_pool
}

@test "nor one that names another run_dir" {
  ends_well_after sed -i "s#^run_dir.*#run_dir = \"$PLAYGROUND/elsewhere.run\"#" "$CONFIG"
}

@test "a machine whose lease an old copy of the file has lost keeps its address" {
  local held
  machine lxc
  held=$(sed -n "s/;$job;USED\$//p" "$LEASES")
  cp -p "$LEASES" leases
  sed -i "s/;$job;USED\$/;;/" "$LEASES"
  # It would be the next to be leased.
  assert_equal "$(sed -n '2s/;;$//p' "$LEASES")" "$held"
  run -0 in_lxc ip -o -4 address show scope global
  assert_output --partial " inet "
  refute_output --partial " $held/"
  cat leases >"$LEASES"
  end_jobs "$job"
  node_is_clean
}

@test "of a lease file that was cut nothing is leased" {
  local cut
  machine lxc
  cp -p "$LEASES" leases
  # In the middle of the first line of an address.
  cut=$(head -c 25 leases)
  printf %s "$cut" >"$LEASES"
  run in_lxc true
  assert_output --partial "no address left"
  assert_equal "$(<"$LEASES")" "$cut"
  cat leases >"$LEASES"
  end_jobs "$job"
  node_is_clean
}
