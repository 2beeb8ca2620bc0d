# SPDX-License-Identifier: MIT
# frozen_string_literal: true

# Start a Ruby worker: ruby snakepit_worker.rb --adapter SPEC [ARGUMENTS].
#
# The package lies beside this file, with its extension for one interpreter. An
# interpreter it was not built for takes the gem installed for it, if there is one.

folder = File.join(__dir__, "lib")
$LOAD_PATH.unshift(folder) if File.exist?(File.join(folder, "snakepit_bridge.rb"))
begin
  require "snakepit_bridge"
rescue LoadError => e
  $LOAD_PATH.delete(folder)
  $LOADED_FEATURES.reject! { |feature| feature.start_with?("#{folder}/") }
  begin
    require "snakepit_bridge"
  rescue LoadError
    warn("snakepit_worker.rb: snakepit_bridge is not built for ruby #{RUBY_VERSION}: #{e.message}\n  " \
         "install it there: gem install snakepit_bridge-#{RUBY_PLATFORM}.gem, see bridges/ruby/README.md")
    exit(78) # tells the pool that starting this worker again is useless
  end
end
exit(Snakepit::Main.run(ARGV.dup))
