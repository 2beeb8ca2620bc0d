# SPDX-License-Identifier: MIT
# frozen_string_literal: true

module Snakepit
  # Serve an object's tools until the host is done with this worker: for a program that is
  # a worker of its own (`runtime: exec`).
  def self.serve(adapter)
    Main.serve(ToolSet.new(adapter))
  end

  # A worker process: open the connections the host left, load the adapter, serve. What
  # is not known here is the adapter's and stands in ARGV. A worker that cannot load its
  # adapter tells the host why before it ends with status 1.
  module Main
    USAGE = <<~TEXT
      usage: snakepit_worker.rb [--adapter SPEC] [--listen ADDRESS] [ARGUMENT ...]

        --adapter SPEC     showcase (the default), none, path/to/file.rb or
                           path/to/file.rb:Class
        --listen ADDRESS   serve gRPC clients on unix:/path or 127.0.0.1:port instead of the
                           sockets a host leaves; port 0 takes a free one and prints it
    TEXT
    INHERITED = %w[SNAKEPIT_CALL_FD SNAKEPIT_HOST_FD SNAKEPIT_PAGE_FD SNAKEPIT_MEMORY_FD
                   SNAKEPIT_CALL_IN_FD SNAKEPIT_CALL_OUT_FD].freeze
    private_constant :USAGE, :INHERITED

    class << self
      # Returns the exit status.
      def run(arguments)
        adapter, listen, rest = parse(arguments)
        return 0 if adapter.nil?

        ARGV.replace(rest)
        worker = open(listen)
        tools = start(worker, adapter)
        return 1 if tools.nil?

        loop_over(worker, tools)
        0
      rescue WorkerError => e
        warn("snakepit_worker.rb: #{e.message}")
        1
      ensure
        worker&.close
      end

      def serve(tools)
        worker = open(nil)
        tools.start
        loop_over(worker, tools)
      ensure
        worker&.close
      end

      private

      # [adapter, listen address or nil, the adapter's arguments].
      def parse(arguments)
        known = {"--adapter" => "showcase", "--listen" => nil}
        rest = []
        waiting = arguments.dup
        while (argument = waiting.shift)
          name, equals, value = argument.partition("=")
          if name == "--help" && equals.empty?
            $stdout.write(USAGE)
            return [nil, nil, nil]
          elsif known.key?(name)
            value = waiting.shift if equals.empty?
            raise WorkerError, "#{name} needs a value" if value.nil?

            known[name] = value
          else
            rest << argument
          end
        end
        [known["--adapter"], known["--listen"], rest]
      end

      # Connect to what the host left in the environment, or listen.
      def open(listen)
        $stdout.sync = true
        cancel = signal_number("SNAKEPIT_CANCEL_SIGNAL", "URG")
        worker = Worker.new("ruby #{RUBY_VERSION}", listen || ENV.delete("SNAKEPIT_LISTEN"), cancel)
        trap(cancel) { worker.interrupt } unless cancel.zero?
        stacks = signal_number("SNAKEPIT_STACK_SIGNAL", "QUIT")
        worker.offer_stacks(stacks) unless stacks.zero?
        INHERITED.each { |name| ENV.delete(name) } # a child must not take them for its own
        worker
      end

      def signal_number(variable, usual)
        name = ENV.fetch(variable, usual)
        return 0 if ["", "0", "none"].include?(name)
        return Integer(name) if name.match?(/\A\d+\z/)

        Signal.list.fetch(name.delete_prefix("SIG")) do
          raise WorkerError, "#{variable}: no signal named #{name.inspect}"
        end
      end

      # The tools, ready to run; nil after a refusal.
      def start(worker, spec)
        permanent = true
        tools = Loader.load(spec)
        permanent = false # what setup lacks now it may have another time
        tools.start
        tools
      rescue StandardError, ScriptError, SystemExit => e
        kind, message, trace = Serving.describe(e, nil)
        warn(trace)
        worker.refuse(permanent, kind, message, trace)
        nil
      end

      def loop_over(worker, tools)
        Serving.tools = tools
        tools.announce(worker)
        worker.announce
        puts("snakepit worker: listening on #{worker.address}") if worker.address
        worker.serve(tools.table, Serving)
      ensure
        tools.stop
      end
    end
  end
end
