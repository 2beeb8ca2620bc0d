# SPDX-License-Identifier: MIT
# frozen_string_literal: true

module Snakepit
  # A variable of a session as it was when it was read.
  Variable = Struct.new(:id, :name, :type, :value, :constraints, :metadata, :version,
                        :changed_by, :locked_by, :created_at, :updated_at,
                        keyword_init: true)

  # The call that runs: `ctx` of a tool, or Snakepit.current. Besides what is here:
  #
  #   tool, session, metadata   what was called, in which session (nil: none)
  #   cancelled?, time_left     whether anybody waits still; seconds, nil: no limit
  #   active?                   false once the call has ended
  #   host_tools                what the host's program offers
  #   session_info, begin_session
  #   store                     a Hash that lives as long as the call
  class Context
    # Call a tool and wait for its result: of the host's program, or of another worker
    # (pool: "" the first pool that has it, or a pool's name). timeout is in seconds.
    def call_host(tool, args = {}, pool: nil, timeout: nil, **named)
      tool_call(tool.to_s, args.merge(named), pool, milliseconds(timeout))
    end

    # Call a tool of another worker of the pit.
    def call_tool(tool, args = {}, pool: "", timeout: nil, **named)
      tool_call(tool.to_s, args.merge(named), pool.to_s, milliseconds(timeout))
    end

    # The chunks of a tool's stream, one after the other; without a block an Enumerator.
    # Leaving the block early ends the stream.
    def stream_host(tool, args = {}, pool: nil, timeout: nil, **named)
      return to_enum(:stream_host, tool, args, pool: pool, timeout: timeout, **named) unless block_given?

      source = tool_stream(tool.to_s, args.merge(named), pool, milliseconds(timeout))
      begin
        while (item = source.take(nil))
          yield item.first
        end
      ensure
        source.close
      end
      self
    end

    # ---- variables ----

    # The value of a variable. Raises NotFound.
    def [](name)
      variable(name).value
    end

    # Give a variable a value; it is registered when there is none.
    def []=(name, value)
      set(name, value)
    rescue NotFound
      register(name, value)
    end

    def variable(name)
      Variable.new(**in_session { variable_get(name.to_s) })
    end

    # type nil: the one that fits the value.
    def register(name, value, type: nil, constraints: nil, metadata: nil, changed_by: nil)
      options = [constraints, metadata, changed_by, nil, nil]
      facts = in_session { variable_register(name.to_s, type&.to_s, value, options) }
      Variable.new(**facts)
    end

    # Returns the new version.
    def set(name, value, metadata: nil, changed_by: nil, owner: nil, expected_version: nil)
      options = [nil, metadata, changed_by, owner, expected_version]
      in_session { variable_set(name.to_s, value, options) }
    end

    def delete(name, owner: nil, expected_version: nil)
      variable_delete(name.to_s, [nil, nil, nil, owner, expected_version])
    end

    # All, or those whose names fit a pattern with * and ?.
    def variables(pattern = nil)
      in_session { variables_list(pattern&.to_s) }.map { |facts| Variable.new(**facts) }
    end

    # The latest versions, the newest first; limit 0: all that are kept.
    def history(name, limit: 0)
      in_session { variable_history(name.to_s, limit) }.map { |facts| Variable.new(**facts) }
    end

    # Returns the new version.
    def rollback(name, version, changed_by: nil, owner: nil)
      variable_rollback(name.to_s, version, [nil, nil, changed_by, owner, nil])
    end

    def lock(name, owner)
      variable_lock(name.to_s, owner.to_s)
    end

    def unlock(name, owner)
      variable_unlock(name.to_s, owner.to_s)
    end

    # Changes as they come: the block gets the kind (:initial, :registered, :value, :lock,
    # :deleted) and the Variable; timeout ends the wait for one more.
    def watch(*names, initial: false, timeout: nil)
      unless block_given?
        return to_enum(:watch, *names, initial: initial, timeout: timeout)
      end

      in_session { session_info }
      source = watch_open(names.empty? ? nil : names.map(&:to_s), initial)
      begin
        while (item = source.take(timeout && milliseconds(timeout)))
          kind, facts = item.first
          yield kind, Variable.new(**facts)
        end
      ensure
        source.close
      end
      self
    end

    # ---- programs: JSON under a name; global: for all sessions ----

    def store_program(id, data, global: false, ttl: nil)
      in_session { program_store(global, id.to_s, data, milliseconds(ttl)) }
    end

    def program(id, global: false)
      in_session { program_get(global, id.to_s) }
    end

    def delete_program(id, global: false)
      program_delete(global, id.to_s)
    end

    def programs(global: false)
      in_session { programs_list(global) }
    end

    private

    # The call's session begins when it is first needed.
    def in_session
      yield
    rescue NotFound => e
      raise unless session && e.message.start_with?("no session")

      begin_session
      yield
    end

    def milliseconds(seconds)
      seconds ? [(seconds * 1000).ceil, 1].max : 0
    end
  end
end
