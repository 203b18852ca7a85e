import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.serialization.SimpleStringEncoder;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.connector.file.sink.FileSink;
import org.apache.flink.connector.file.src.FileSource;
import org.apache.flink.connector.file.src.reader.TextLineInputFormat;
import org.apache.flink.core.fs.Path;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * The 12 window features of the card-fraud pipeline as a Flink DataStream job: NDJSON payments in,
 * one CSV line per payment out.
 *
 * <p>Rows wait for the watermark and are taken in the order of event time and transaction id, so
 * the features are exact, as riskstream's are. State is on the heap and checkpoints are off:
 * the fastest that Flink has.
 *
 * <p>Usage: PaymentFeatures INPUT.ndjson OUTPUT_FOLDER PARALLELISM
 */
public final class PaymentFeatures {
  private static final long DAY_MS = 86_400_000L;
  private static final long[] WINDOWS_MS = {DAY_MS, 7 * DAY_MS, 30 * DAY_MS};
  private static final long LABEL_DELAY_MS = 7 * DAY_MS;

  private PaymentFeatures() {}

  /**
   * One payment and the features that the first step has added to it. Public fields and a public
   * constructor: Flink's POJO rules.
   */
  public static final class Payment {
    public long id;
    public long timeMs;
    public int customer;
    public int terminal;
    public long cents;
    public int fraud;
    public long[] customerCounts = new long[WINDOWS_MS.length];
    public long[] customerCents = new long[WINDOWS_MS.length];

    public Payment() {}
  }

  /** A key's rows, oldest first, in a ring without gaps: event times and the summed value. */
  public static final class KeyHistory {
    public long[] times = new long[8];
    public long[] values = new long[8];
    public int first;
    public int end;

    public KeyHistory() {}

    void append(long time, long value, long keepMs) {
      while (first < end && times[first] <= time - keepMs) {
        first++;
      }
      if (end == times.length) {
        int live = end - first;
        int capacity = live * 2 > times.length ? times.length * 2 : times.length;
        times = Arrays.copyOf(Arrays.copyOfRange(times, first, end), capacity);
        values = Arrays.copyOf(Arrays.copyOfRange(values, first, end), capacity);
        first = 0;
        end = live;
      }
      times[end] = time;
      values[end++] = value;
    }

    /** Counts and sums of the windows (upTo - w, upTo], shortest first: one walk backwards. */
    void trailing(long upTo, long[] counts, long[] sums) {
      int at = end - 1;
      while (at >= first && times[at] > upTo) {
        at--;
      }
      long count = 0;
      long sum = 0;
      for (int w = 0; w < WINDOWS_MS.length; w++) {
        for (long from = upTo - WINDOWS_MS[w]; at >= first && times[at] > from; at--) {
          count++;
          sum += values[at];
        }
        counts[w] = count;
        sums[w] = sum;
      }
    }
  }

  /** Holds a key's payments until the watermark has passed them, then processes them in order. */
  private abstract static class InEventTimeOrder<OUT>
      extends KeyedProcessFunction<Integer, Payment, OUT> {
    private transient MapState<Long, List<Payment>> waiting;
    private transient ValueState<KeyHistory> history;

    @Override
    public void open(OpenContext context) {
      waiting =
          getRuntimeContext()
              .getMapState(
                  new MapStateDescriptor<>(
                      "waiting", Types.LONG, Types.LIST(Types.POJO(Payment.class))));
      history =
          getRuntimeContext()
              .getState(new ValueStateDescriptor<>("history", Types.POJO(KeyHistory.class)));
    }

    @Override
    public void processElement(Payment payment, Context context, Collector<OUT> out)
        throws Exception {
      List<Payment> sameTime = waiting.get(payment.timeMs);
      if (sameTime == null) {
        sameTime = new ArrayList<>(1);
        context.timerService().registerEventTimeTimer(payment.timeMs);
      }
      sameTime.add(payment);
      waiting.put(payment.timeMs, sameTime);
    }

    @Override
    public void onTimer(long time, OnTimerContext context, Collector<OUT> out) throws Exception {
      List<Payment> due = waiting.get(time);
      waiting.remove(time);
      if (due.size() > 1) {
        due.sort(Comparator.comparingLong(p -> p.id));
      }
      KeyHistory known = history.value();
      if (known == null) {
        known = new KeyHistory();
      }
      for (Payment payment : due) {
        process(payment, known, out);
      }
      history.update(known);
    }

    abstract void process(Payment payment, KeyHistory history, Collector<OUT> out);
  }

  private static final class CustomerSpending extends InEventTimeOrder<Payment> {
    @Override
    void process(Payment payment, KeyHistory history, Collector<Payment> out) {
      history.append(payment.timeMs, payment.cents, WINDOWS_MS[2]);
      history.trailing(payment.timeMs, payment.customerCounts, payment.customerCents);
      out.collect(payment);
    }
  }

  private static final class TerminalRisk extends InEventTimeOrder<String> {
    private transient long[] counts;
    private transient long[] frauds;
    private transient StringBuilder line;

    @Override
    public void open(OpenContext context) {
      super.open(context);
      counts = new long[WINDOWS_MS.length];
      frauds = new long[WINDOWS_MS.length];
      line = new StringBuilder(192);
    }

    @Override
    void process(Payment payment, KeyHistory history, Collector<String> out) {
      history.append(payment.timeMs, payment.fraud, WINDOWS_MS[2] + LABEL_DELAY_MS);
      history.trailing(payment.timeMs - LABEL_DELAY_MS, counts, frauds);
      line.setLength(0);
      line.append(payment.id);
      for (int w = 0; w < WINDOWS_MS.length; w++) {
        long n = payment.customerCounts[w];
        line.append(',').append(n).append(',').append(payment.customerCents[w] / 100.0 / n);
      }
      for (int w = 0; w < WINDOWS_MS.length; w++) {
        double risk = counts[w] == 0 ? 0.0 : (double) frauds[w] / counts[w];
        line.append(',').append(counts[w]).append(',').append(risk);
      }
      out.collect(line.toString());
    }
  }

  private static final JsonFactory JSON = new JsonFactory();

  private static Payment parse(String text) {
    Payment payment = new Payment();
    try (JsonParser parser = JSON.createParser(text)) {
      parser.nextToken();
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String name = parser.currentName();
        parser.nextToken();
        switch (name) {
          case "transaction_id" -> payment.id = parser.getLongValue();
          case "tx_datetime" -> payment.timeMs = milliseconds(parser.getText());
          case "customer_id" -> payment.customer = parser.getIntValue();
          case "terminal_id" -> payment.terminal = parser.getIntValue();
          case "tx_amount" -> payment.cents = Math.round(parser.getDoubleValue() * 100);
          case "tx_fraud" -> payment.fraud = parser.getIntValue();
          default -> parser.skipChildren();
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return payment;
  }

  /** Of "yyyy-MM-dd HH:mm:ss", without a formatter. */
  private static long milliseconds(String text) {
    LocalDateTime time =
        LocalDateTime.of(
            number(text, 0, 4),
            number(text, 5, 7),
            number(text, 8, 10),
            number(text, 11, 13),
            number(text, 14, 16),
            number(text, 17, 19));
    return time.toEpochSecond(ZoneOffset.UTC) * 1000;
  }

  private static int number(String text, int from, int to) {
    int value = 0;
    for (int i = from; i < to; i++) {
      value = value * 10 + text.charAt(i) - '0';
    }
    return value;
  }

  public static void main(String[] arguments) throws Exception {
    Locale.setDefault(Locale.ROOT);
    String input = arguments[0];
    String output = arguments[1];
    int parallelism = Integer.parseInt(arguments[2]);
    Configuration configuration = new Configuration();
    configuration.set(StateBackendOptions.STATE_BACKEND, "hashmap");
    configuration.set(PipelineOptions.OBJECT_REUSE, true);
    configuration.set(PipelineOptions.AUTO_WATERMARK_INTERVAL, Duration.ofMillis(200));
    configuration.set(TaskManagerOptions.NUM_TASK_SLOTS, parallelism);
    configuration.set(TaskManagerOptions.MANAGED_MEMORY_SIZE, MemorySize.ofMebiBytes(64));
    StreamExecutionEnvironment environment =
        StreamExecutionEnvironment.getExecutionEnvironment(configuration);
    environment.setParallelism(parallelism);
    // One reader keeps the file's order; decoding is spread over the cores.
    FileSource<String> file =
        FileSource.forRecordStreamFormat(new TextLineInputFormat(), new Path(input)).build();
    DataStream<String> lines =
        environment
            .fromSource(file, WatermarkStrategy.noWatermarks(), "payments")
            .setParallelism(1);
    DataStream<Payment> payments =
        (parallelism > 1 ? lines.rebalance() : lines)
            .map(PaymentFeatures::parse)
            .returns(Types.POJO(Payment.class))
            .assignTimestampsAndWatermarks(
                WatermarkStrategy.<Payment>forMonotonousTimestamps()
                    .withTimestampAssigner((payment, before) -> payment.timeMs));
    payments
        .keyBy(payment -> payment.customer, Types.INT)
        .process(new CustomerSpending(), Types.POJO(Payment.class))
        .keyBy(payment -> payment.terminal, Types.INT)
        .process(new TerminalRisk(), Types.STRING)
        .sinkTo(FileSink.forRowFormat(new Path(output), new SimpleStringEncoder<String>()).build());
    environment.execute("payment features");
    System.exit(0);
  }
}
