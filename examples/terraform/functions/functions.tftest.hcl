run "bring_into_one_form" {
  command = plan

  assert {
    condition     = output.in_full == "llama3:latest"
    error_message = "The name in full is another."
  }

  assert {
    condition     = can(regex("^[1-9][0-9]*Mi$", output.memory_limit))
    error_message = "This is no limit of memory: ${output.memory_limit}."
  }
}

run "and_bound_an_input" {
  command = plan

  variables {
    keep_alive = "24h"
  }

  expect_failures = [var.keep_alive]
}
