# SPDX-License-Identifier: MIT
# frozen_string_literal: true

module Snakepit
  # How a tool is called and what is announced of it, read from a method's parameters.
  class Signature
    STYLE_NAMED = 0
    STYLE_HASH = 1
    ARITY = /\A(wrong number of arguments|missing keyword|unknown keyword)/.freeze
    private_constant :ARITY

    # What the extension calls: see enum tool_field in bridge.h.
    attr_reader :entry

    def initialize(receiver, method_name, callable, facts, style: STYLE_NAMED)
      @callable = callable
      @facts = facts
      parameters = callable.parameters
      named = style == STYLE_NAMED
      @positional = named ? names(parameters, :req, :opt) : []
      @keywords = named ? names(parameters, :keyreq, :key) : []
      # What takes arguments that have no parameter of their own, as the host knows it.
      @rests = {rest: "*", keyrest: "**"}.select { |kind, _| parameters.assoc(kind) }.values
      @rests = ["**"] unless named
      @entry = [receiver, method_name, style, @positional,
                named ? names(parameters, :req).size : 0,
                @keywords.any? || @rests.include?("**"),
                @keywords.include?(:ctx), facts.fetch(:stream, false) ? true : false].freeze
      @required = names(parameters, :req, :keyreq)
    end

    def streaming?
      @facts.fetch(:stream, false)
    end

    # [name, type, description, default as JSON] of each parameter; what is optional has
    # the default that was declared, or null.
    def announced
      declared = @facts.fetch(:params, {}).transform_keys(&:to_sym)
      all = (@positional + @keywords - [:ctx]) | declared.keys
      all.map { |name| announce(name, declared[name]) } + @rests.map { |each| [each, "any", nil, "null"] }
    end

    # Whether an exception says that the arguments did not fit, and not the tool's code.
    def at_fault?(exception)
      return false unless exception.instance_of?(ArgumentError) && ARITY.match?(exception.message)

      # Ruby raises it in the first line of what was called, before any of its code.
      top = exception.backtrace_locations&.first
      return false if top.nil? || [top.path, top.lineno] != @callable.source_location

      top.label.start_with?("block in ") || top.base_label == @callable.name.to_s
    end

    private

    def names(parameters, *kinds)
      parameters.select { |kind, name| kinds.include?(kind) && name }.map(&:last)
    end

    def announce(name, declared)
      declared = {type: declared} unless declared.is_a?(Hash)
      type = declared[:type] ? declared[:type].to_s : "any"
      default = Snakepit.encode(declared[:default]).first if declared.key?(:default)
      default ||= "null" unless @required.include?(name) || (declared[:type] && !(@positional + @keywords).include?(name))
      [name.to_s, type, declared[:description], default]
    end
  end
end
