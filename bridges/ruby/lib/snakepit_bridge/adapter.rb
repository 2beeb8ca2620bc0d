# SPDX-License-Identifier: MIT
# frozen_string_literal: true

module Snakepit
  # `tool` for a class: declares a method as a tool. Adapter has it; any other class can
  # `extend Snakepit::Tools`.
  module Tools
    # What a class has declared, and those it descends from: name => facts.
    def declared_tools
      inherited = superclass.respond_to?(:declared_tools) ? superclass.declared_tools : {}
      inherited.merge(@declared_tools || {})
    end

    # Declare a tool. With a block, that is what it does; without one, the method of its
    # name, which may be defined later.
    #
    # params      name => type (:int, :float, :str, :bool, :list, :dict, :bytes, :any), or
    #             {type:, default:, description:}
    # stream      the tool yields its items, or gives an Enumerable; it can only be
    #             called as a stream
    # idempotent  running it twice does no harm: repeated when its worker dies
    def tool(name, description = nil, params: {}, stream: false, idempotent: false, &block)
      define_method(name, &block) if block
      (@declared_tools ||= {})[name.to_s] = {
        description: description, params: params, stream: stream, idempotent: idempotent
      }
      name
    end
  end

  # A base for adapters; one object of the class serves a worker's calls, one at a time.
  # What it keeps in instance variables lives as long as the worker. Optional methods:
  #
  #   setup                   once, before the first call; what it raises is a start that
  #                           failed and is tried again
  #   close                   once, after the last call
  #   session_ended(session)  a session is over whose calls have run here
  class Adapter
    extend Tools

    # The Context of the call that runs.
    def ctx
      Snakepit.current
    end
  end
end
