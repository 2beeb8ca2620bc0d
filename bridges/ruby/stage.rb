# SPDX-License-Identifier: MIT
# frozen_string_literal: true

# Part of the build: put the package where it can be run, and nothing else.
#
#   stage.rb STAMP SOURCE_FOLDER BUILD_FOLDER EXTENSION FILE...
require "fileutils"

stamp, source, build, extension, *files = ARGV
wanted = {File.join(build, "lib/snakepit_bridge", File.basename(extension)) => extension}
files.each { |file| wanted[File.join(build, File.expand_path(file).delete_prefix("#{source}/"))] = file }
Dir.glob(File.join(build, "lib/**/*")).each do |there|
  File.unlink(there) if File.file?(there) && !wanted.key?(there) # of a file that is no more
end
wanted.each do |there, file|
  FileUtils.mkdir_p(File.dirname(there))
  # A new file in the old one's place: running workers keep the one they mapped.
  FileUtils.cp(file, "#{there}.new", preserve: true)
  File.rename("#{there}.new", there)
end
File.write(stamp, "staged\n")
