# SPDX-License-Identifier: MIT
# frozen_string_literal: true

# A stock gRPC worker in Ruby: the gem grpc and modules generated from our proto, nothing
# of snakepit. It serves the commands of BridgeHandler, `add`, and `count` as a stream.
#
#     protoc -I proto --ruby_out=stubs --grpc_out=stubs \
#       --plugin=protoc-gen-grpc=$(which grpc_ruby_plugin) snakepit/bridge.proto
#
#     pools:
#       - runtime: grpc
#         command: [ruby, -I, stubs, grpc_worker.rb, "{address}"]
#
# A native worker (sums.rb) is faster by far, and hears of cancellations, sessions and its
# host; this is for programs that are gRPC servers already.
require "grpc"
require "json"
require "snakepit/bridge_services_pb"
require_relative "bridge_handler"

class BridgeServer < Snakepit::Bridge::BridgeService::Service
  RESULT_TYPE = "type.googleapis.com/snakepit.map"

  def initialize
    super
    @handler = BridgeHandler.new
  end

  def ping(request, _call)
    Snakepit::Bridge::PingResponse.new(message: "pong: #{request.message}")
  end

  def execute_tool(request, _call)
    result = run(request.tool_name, arguments_of(request))
    Snakepit::Bridge::ExecuteToolResponse.new(
      success: true,
      result: Google::Protobuf::Any.new(type_url: RESULT_TYPE, value: JSON.generate(result))
    )
  rescue GRPC::BadStatus
    raise # what gRPC has a status for
  rescue StandardError => e
    told = {type: e.class.name, message: e.message, traceback: e.full_message(highlight: false)}
    Snakepit::Bridge::ExecuteToolResponse.new(success: false, error_message: JSON.generate(told))
  end

  def execute_streaming_tool(request, _call)
    raise GRPC::Unimplemented, "no stream #{request.tool_name}" if request.tool_name != "count"

    Enumerator.new do |chunks|
      arguments_of(request).fetch("n").times do |i|
        chunks << Snakepit::Bridge::ToolChunk.new(chunk_id: "count-#{i}", data: JSON.generate({i: i}))
      end
      chunks << Snakepit::Bridge::ToolChunk.new(is_final: true)
    end
  end

  private

  def arguments_of(request)
    # Not to_h with a block: the map of a message converts its values first.
    request.parameters.map { |name, any| [name, JSON.parse(any.value)] }.to_h
  end

  def run(tool, arguments)
    return {"result" => arguments.fetch("a") + arguments.fetch("b")} if tool == "add"
    unless @handler.commands.include?(tool)
      raise GRPC::Unimplemented, "no tool #{tool}"
    end

    @handler.process_command({"command" => tool, "args" => arguments})
  end
end

# A call that finds no free thread is refused: as many as there may be calls at once.
server = GRPC::RpcServer.new(pool_size: Integer(ENV.fetch("THREADS", "30")))
server.add_http2_port(ARGV.fetch(0), :this_port_is_insecure)
server.handle(BridgeServer)
puts("listening on #{ARGV[0]}")
$stdout.flush
server.run_till_terminated_or_interrupted(%w[TERM INT])
