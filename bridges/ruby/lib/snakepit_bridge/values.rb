# SPDX-License-Identifier: MIT
# frozen_string_literal: true

module Snakepit
  # What stands for a value that JSON cannot hold. Raises TypeError when nothing does.
  def self.substitute(value)
    case value
    when Struct then value.to_h
    when Rational then value.to_f
    when Complex then [value.real, value.imaginary]
    when Exception then {"type" => value.class.name, "message" => value.message}
    when Module, Regexp then value.to_s
    else by_duty(value)
    end
  end

  def self.by_duty(value)
    return value.iso8601(9) if value.is_a?(Time) && value.respond_to?(:iso8601)
    return value.strftime("%Y-%m-%dT%H:%M:%S.%N%:z") if value.is_a?(Time)
    return value.iso8601 if value.respond_to?(:iso8601)
    return value.to_s("F") if defined?(BigDecimal) && value.is_a?(BigDecimal)
    return value.to_h if value.respond_to?(:to_h) && !value.is_a?(Enumerable)
    return value.to_a if value.respond_to?(:to_a)

    raise TypeError, "#{value.class} cannot be sent: give a Hash, an Array, text, a " \
                     "number, true, false or nil"
  end
  private_class_method :by_duty
end
