# SPDX-License-Identifier: MIT
# frozen_string_literal: true

Gem::Specification.new do |spec|
  spec.name = "snakepit_bridge"
  spec.version = "0.1.0"
  spec.license = "MIT"
  spec.summary = "Tools in Ruby for a snakepit pool"
  spec.description = "Classes in Ruby become tools of a pool of worker processes: values, streams, " \
                     "sessions, cancellation and errors as in every language the pool speaks."
  spec.authors = ["snakepit developers"]
  spec.required_ruby_version = ">= 3.0"
  spec.files = Dir.glob("{lib,ext,runtime}/**/*.{rb,c,h,proto}") + %w[README.md snakepit_worker.rb]
  spec.extensions = ["ext/snakepit_bridge/extconf.rb"]
  spec.require_paths = ["lib"]
end
