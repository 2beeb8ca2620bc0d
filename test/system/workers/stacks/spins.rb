# SPDX-License-Identifier: MIT
# frozen_string_literal: true

# A tool whose stack is looked at while it runs, until a file `path`.end is there.
require "snakepit_bridge"

class Spins < Snakepit::Adapter
  tool :spin, "Turn round."
  def spin(path)
    File.write(path, "")
    turn_round(path)
  end

  private

  def turn_round(path)
    turns = 0
    turns += 1 until File.exist?("#{path}.end")
    turns >= 0
  end
end
