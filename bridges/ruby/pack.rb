# SPDX-License-Identifier: MIT
# frozen_string_literal: true

# Make a gem of this checkout: the package, and the sources of the worker's half of
# snakepit, which its extension is compiled with.
#
#   ruby pack.rb FOLDER      leaves snakepit_bridge-VERSION.gem there
require "fileutils"
require "tmpdir"

folder = File.expand_path(ARGV.fetch(0) { abort("usage: ruby pack.rb FOLDER") })
root = File.expand_path("../..", __dir__)

Dir.mktmpdir do |stage|
  FileUtils.cp_r(%w[lib ext README.md snakepit_worker.rb snakepit_bridge.gemspec].map { |name| File.join(__dir__, name) }, stage)
  %w[src/base src/wire src/runtime include/snakepit proto].each do |name|
    FileUtils.mkdir_p(File.join(stage, "runtime", File.dirname(name)))
    FileUtils.cp_r(File.join(root, name), File.join(stage, "runtime", name))
  end
  Dir.chdir(stage) do
    system("gem", "build", "--output", File.join(folder, "snakepit_bridge-0.1.0.gem"), "snakepit_bridge.gemspec", exception: true)
  end
end
