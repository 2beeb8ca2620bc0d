# SPDX-License-Identifier: MIT
# frozen_string_literal: true

# A tool that reports events: how many of them somebody got.
require "snakepit_bridge"

class Reports < Snakepit::Adapter
  tool :report, "Report an event so often."
  def report(name, count)
    told = (1..count).count { Snakepit::Telemetry.emit(name, {count: 1}) }
    {told: told}
  end
end
