# SPDX-License-Identifier: MIT
# frozen_string_literal: true

# Values on their way to JSON and back, without a worker.
require "minitest/autorun"
require "snakepit_bridge"

class TestCodec < Minitest::Test
  def there_and_back(value)
    Snakepit.decode(*Snakepit.encode(value))
  end

  def test_plain_values_come_back_as_they_were
    [nil, true, false, 0, -1, 2**62, -(2**62), 2**64, 10**400, 0.1, -1e300, 5e-324, "", "snåke 🐍",
     "quote \" back \\ line \n nul \0", [], [1, [2, [nil]]], {}, {"a" => {"b" => [1.5]}}].each do |value|
      found = there_and_back(value)
      assert_equal([value], [found])
      assert_equal(value.class, found.class)
    end
  end

  def test_floats_that_are_no_numbers
    assert(there_and_back(Float::NAN).nan?)
    assert_equal([Float::INFINITY, -Float::INFINITY], there_and_back([Float::INFINITY, -Float::INFINITY]))
  end

  def test_negative_zero_stays_negative
    assert_equal(-Float::INFINITY, 1 / there_and_back(-0.0))
  end

  def test_symbols_leave_as_text
    assert_equal({"a" => "b", "1" => ["c"]}, there_and_back({a: :b, 1 => [:c]}))
  end

  def test_keys_are_shared_and_frozen
    first, second = Snakepit.decode('[{"key":1},{"key":2}]', "").map { |each| each.keys.first }
    assert_same(first, second)
    assert(first.frozen?)
  end

  def test_text_of_other_encodings_leaves_as_utf8
    assert_equal("é", there_and_back("é".encode("ISO-8859-1")))
    assert_equal("é", there_and_back("é".encode("UTF-16LE")))
  end

  def test_broken_text_is_refused
    error = assert_raises(EncodingError) { Snakepit.encode("\xFFa") }
    assert_match(/String#b/, error.message)
  end

  def test_lone_surrogates_go_through
    assert_equal('["\ud800x","a\udfff"]', Snakepit.encode(Snakepit.decode('["\ud800x","a\udfff"]', "")).first)
  end

  def test_bytes_travel_beside_the_json
    value = {"a" => "\x00\xFF".b, "b" => ["xyz".b, "text"]}
    json, binary = Snakepit.encode(value)
    assert_equal(19, binary.bytesize) # the second begins at 16
    found = Snakepit.decode(json, binary)
    assert_equal(value, found)
    assert_equal(Encoding::BINARY, found["a"].encoding)
    assert_equal(Encoding::UTF_8, found["b"][1].encoding)
  end

  def test_small_tensors_are_lists_and_large_ones_bytes
    small = Snakepit::Tensor.from([[1, 2], [3, 4]], dtype: "<i4")
    assert_equal(["[[1,2],[3,4]]", ""], Snakepit.encode(small))
    large = Snakepit::Tensor.from(Array.new(60) { |r| Array.new(100) { |c| r * 100 + c } }, dtype: "<f4")
    json, binary = Snakepit.encode([large])
    assert_equal(24_000, binary.bytesize)
    assert_equal([large], Snakepit.decode(json, binary))
    assert_equal(5999.0, Snakepit.decode(json, binary)[0].to_a[59][99])
  end

  def test_tensors_of_every_kind
    {"|b1" => [true, false], "|i1" => [-1, 5], "|u1" => [255], "<i2" => [-300], "<u2" => [65_535],
     "<i4" => [-70_000], "<u4" => [2**32 - 1], "<i8" => [-(2**40)], "<u8" => [2**64 - 1],
     "<f4" => [0.5], "<f8" => [0.1]}.each do |dtype, numbers|
      assert_equal(numbers, Snakepit::Tensor.from(numbers, dtype: dtype).to_a, dtype)
    end
    halves = [0x3C00, 0xC000, 0x7C00, 0x0001].pack("S<*")
    assert_equal([1.0, -2.0, Float::INFINITY, 2.0**-24], Snakepit::Tensor.new("<f2", [4], halves).to_a)
    assert_equal([Complex(1.0, 2.0)], Snakepit::Tensor.new("<c16", [1], [1.0, 2.0].pack("E*")).to_a)
    assert_equal(3.0, Snakepit::Tensor.new("<f8", [], [3.0].pack("E")).to_a)
  end

  def test_a_tensor_says_what_does_not_fit
    error = assert_raises(ArgumentError) { Snakepit::Tensor.new("<f8", [2], "short") }
    assert_equal("5 bytes, <f8 of shape [2] has 16", error.message)
    assert_raises(ArgumentError) { Snakepit::Tensor.new("<f3", [1], "abc") }
  end

  def test_malformed_parts_are_the_arguments_fault
    ['{"__bytes__":{"size":9}}', '{"__bytes__":{"size":-1}}', '{"__bytes__":{}}', '{"__bytes__":3}',
     '{"__bytes__":{"size":1},"more":2}', '{"__bytes__":{"size":1,"at":4}}',
     '{"__bytes__":{"size":1,"part":"other"}}', '{"__tensor__":{"dtype":"<f8"}}',
     '{"__tensor__":{"dtype":"|O","shape":[1]}}', '{"__tensor__":{"dtype":"<f8","shape":[1]}}',
     "{\"__bytes__\":{\"size\":#{2**70}}}",
     '{"__tensor__":{"dtype":"<f8","shape":[4294967296,4294967296]}}'].each do |json|
      assert_raises(Snakepit::BadArguments, json) { Snakepit.decode(json, "1234") }
    end
  end

  def test_what_stands_for_other_objects
    point = Struct.new(:x, :y).new(1, 2)
    assert_equal({"x" => 1, "y" => 2}, there_and_back(point))
    assert_equal([1, 2, 3], there_and_back(1..3))
    assert_equal(0.5, there_and_back(1r / 2))
    assert_match(/\A1970-01-01T00:00:00/, there_and_back(Time.at(0).utc))
    error = assert_raises(TypeError) { Snakepit.encode([Object.new]) }
    assert_match(/\AObject cannot be sent/, error.message)
  end

  def test_rings_and_depths_are_refused
    ring = {}
    ring["self"] = [ring]
    assert_match(/circular/, assert_raises(ArgumentError) { Snakepit.encode(ring) }.message)
    deep = []
    600.times { deep = [deep] }
    assert_match(/512 levels/, assert_raises(ArgumentError) { Snakepit.encode(deep) }.message)
    assert_raises(ArgumentError) { Snakepit.decode("[" * 600 + "]" * 600, "") }
  end

  def test_the_same_array_twice_is_no_ring
    twice = [1]
    assert_equal([[1], [1]], there_and_back([twice, twice]))
  end

  def test_bad_json_says_where
    error = assert_raises(ArgumentError) { Snakepit.decode('{"a": x}', "") }
    assert_match(/line 1, column 7/, error.message)
  end

  # The collector runs at every allocation: what is being built must be seen by it.
  def test_values_survive_the_collector
    text = "[#{Array.new(12) { |i| %({"k#{i}":[#{i},"t#{i}",{"n":#{10**30 + i}}]}) }.join(',')}]"
    GC.stress = true
    found = there_and_back(Snakepit.decode(text, ""))
    GC.stress = false
    assert_equal([7, "t7", {"n" => 10**30 + 7}], found[7]["k7"])
  ensure
    GC.stress = false
  end
end
