# SPDX-License-Identifier: MIT
# frozen_string_literal: true

# Compiles the extension with the worker runtime inside: from the sources that pack.rb has
# put into the gem, or from the checkout this file lies in. Meson does the same in the main
# build.
require "fileutils"
require "mkmf"

MESSAGES = %w[google/protobuf/any google/protobuf/timestamp google/rpc/status
              google/rpc/error_details grpc/health/v1/health snakepit/bridge].freeze

packed = File.expand_path("../../runtime", __dir__)
root = File.directory?(packed) ? packed : File.expand_path("../../../..", __dir__)

generated = File.join(Dir.pwd, "proto")
FileUtils.mkdir_p(generated)
command = ["protoc-c", "--proto_path=#{root}/proto", "--c_out=#{generated}", *MESSAGES.map { |name| "#{name}.proto" }]
abort("protoc-c is needed (Debian: protobuf-c-compiler)") unless system(*command)

%w[nghttp2 protobuf-c].each do |library|
  abort("lib#{library} is needed, with its headers") unless have_library(library)
end

folders = %w[base wire runtime].map { |name| File.join(root, "src", name) }
ours = Dir.glob(File.join(__dir__, "*.c")) + folders.flat_map { |name| Dir.glob(File.join(name, "*.c")) }
messages = MESSAGES.map { |name| File.join(generated, "#{name}.pb-c.c") }

# Several folders have a file of the same name: each object gets its folder's.
$objs = []
$distcleanfiles << "proto"
rules = (ours + messages).map do |source|
  object = "#{File.basename(File.dirname(source))}-#{File.basename(source, '.c')}.o"
  $objs << object
  "#{object}: #{source}\n\t$(CC) $(INCFLAGS) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<\n"
end
$INCFLAGS += " -I#{root}/src -I#{root}/include -I#{generated}"
$CFLAGS += " -std=c11 -D_GNU_SOURCE -fvisibility=hidden -pthread -w"
# The runtime inside is this module's own: nothing of it is for others to see.
File.write("exports", "{ global: Init__worker; local: *; };\n")
$distcleanfiles << "exports"
$DLDFLAGS += " -Wl,--version-script=#{File.join(Dir.pwd, 'exports')}"
create_makefile("snakepit_bridge/_worker")
File.write("Makefile", "\n#{rules.join("\n")}", mode: "a")
