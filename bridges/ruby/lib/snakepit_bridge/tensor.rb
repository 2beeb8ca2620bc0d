# SPDX-License-Identifier: MIT
# frozen_string_literal: true

module Snakepit
  # An array of numbers whose bytes travel as they are. `dtype` is NumPy's name for the
  # elements ("<f8", "|u1" ...), `bytes` has them little endian, the last dimension
  # varying fastest. One of more than 10 KiB leaves as bytes, a smaller one as a list.
  class Tensor
    # dtype => [String#unpack's letter, bytes of one element, numbers in one element]
    FORMATS = {
      "|b1" => ["C", 1, 1], "|i1" => ["c", 1, 1], "|u1" => ["C", 1, 1],
      "<i2" => ["s<", 2, 1], "<u2" => ["S<", 2, 1], "<i4" => ["l<", 4, 1],
      "<u4" => ["L<", 4, 1], "<i8" => ["q<", 8, 1], "<u8" => ["Q<", 8, 1],
      "<f4" => ["e", 4, 1], "<f8" => ["E", 8, 1], "<f2" => [nil, 2, 1],
      "<c8" => ["e", 4, 2], "<c16" => ["E", 8, 2]
    }.freeze
    private_constant :FORMATS

    attr_reader :dtype, :shape, :bytes

    def initialize(dtype, shape, bytes)
      _, size, numbers = FORMATS.fetch(dtype) do
        raise ArgumentError, "dtype #{dtype.inspect}: one of #{FORMATS.keys.join(', ')}"
      end
      expected = shape.inject(size * numbers, :*)
      if bytes.bytesize != expected
        raise ArgumentError, "#{bytes.bytesize} bytes, #{dtype} of shape #{shape} has #{expected}"
      end
      @dtype = dtype
      @shape = shape.dup.freeze
      @bytes = bytes.b.freeze
    end

    # A tensor of an Array of numbers, nested as deep as it has dimensions.
    def self.from(array, dtype: "<f8")
      shape = []
      level = array
      while level.is_a?(Array)
        shape << level.size
        level = level.first
      end
      letter, _, numbers = FORMATS.fetch(dtype) { raise ArgumentError, "no dtype #{dtype.inspect}" }
      raise ArgumentError, "#{dtype} is not made of numbers here" if letter.nil? || numbers != 1

      flat = array.flatten
      flat = flat.map { |value| value ? 1 : 0 } if dtype == "|b1"
      new(dtype, shape, flat.pack("#{letter}*"))
    end

    # All numbers, in order.
    def flat
      return halves if @dtype == "<f2"

      letter, _, numbers = FORMATS.fetch(@dtype)
      values = @bytes.unpack("#{letter}*")
      return values.map { |value| value != 0 } if @dtype == "|b1"

      numbers == 1 ? values : values.each_slice(2).map { |pair| Complex(*pair) }
    end

    # Nested Arrays; a number for a tensor without dimensions.
    def to_a
      nest(flat, @shape)
    end

    def ==(other)
      other.is_a?(Tensor) && dtype == other.dtype && shape == other.shape &&
        bytes == other.bytes
    end

    def inspect
      "#<Snakepit::Tensor #{@dtype} #{@shape.inspect}>"
    end

    private

    def nest(values, shape)
      return values.first if shape.empty?
      return values if shape.size == 1

      count = shape.drop(1).inject(1, :*)
      Array.new(shape.first) { |i| nest(values[i * count, count], shape.drop(1)) }
    end

    def halves
      @bytes.unpack("S<*").map do |bits|
        sign = bits[15] == 1 ? -1.0 : 1.0
        exponent = bits >> 10 & 31
        fraction = bits & 1023
        if exponent == 31
          fraction.zero? ? sign * Float::INFINITY : Float::NAN
        elsif exponent.zero?
          sign * Math.ldexp(fraction, -24)
        else
          sign * Math.ldexp(fraction + 1024, exponent - 25)
        end
      end
    end
  end
end
