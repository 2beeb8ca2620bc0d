# SPDX-License-Identifier: MIT
# frozen_string_literal: true

# An object with a table of commands, each of which takes one Hash: the form of bridge that
# programs had before there were adapters. A pool of `adapter: bridge_handler.rb` serves
# what stands in @commands; grpc_worker.rb serves the same object over gRPC.
require "time"

class BridgeHandler
  def initialize
    @commands = {
      "ping" => method(:handle_ping),
      "process_data" => method(:handle_process_data),
      "generate_report" => method(:handle_generate_report)
    }
  end

  def process_command(request)
    handler = @commands[request["command"]]
    raise NameError, "Unknown command: #{request['command']}" if handler.nil?

    handler.call(request["args"] || {})
  end

  def commands
    @commands.keys
  end

  private

  def handle_ping(_args)
    {"status" => "ok", "message" => "pong"}
  end

  def handle_process_data(args)
    data = args["data"] || ""
    {"processed" => data.upcase, "length" => data.length}
  end

  def handle_generate_report(args)
    {
      "report" => {
        "title" => args["title"] || "Report",
        "generated_at" => Time.now.iso8601,
        "data" => args["data"] || {}
      }
    }
  end
end
