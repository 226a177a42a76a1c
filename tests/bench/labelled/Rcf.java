import com.amazon.randomcutforest.config.ForestMode;
import com.amazon.randomcutforest.config.TransformMethod;
import com.amazon.randomcutforest.parkservices.ThresholdedRandomCutForest;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;

/**
 * Scores series with Random Cut Forest as OpenSearch's anomaly detection configures it.
 *
 * <p>Reads series after series: a line "ROWS FEATURES INTERVAL_MS SEED", then a line of values for each row. Prints the
 * grade of each row. Rules are those of a detector that names none: what lies within 20 % of the expected value is ignored.
 */
public class Rcf {
    static final int SHINGLE = 8;
    static final double DECAY = 1.0 / 2560;

    static ThresholdedRandomCutForest forest(int features, long seed) {
        double[] ratios = new double[features];
        java.util.Arrays.fill(ratios, 0.2);
        return ThresholdedRandomCutForest.builder()
                .dimensions(features * SHINGLE).shingleSize(SHINGLE).internalShinglingEnabled(true)
                .sampleSize(256).numberOfTrees(50).timeDecay(DECAY).transformDecay(DECAY)
                .outputAfter(32).initialAcceptFraction(0.125).parallelExecutionEnabled(false)
                .boundingBoxCacheFraction(1).anomalyRate(0.005)
                .transformMethod(TransformMethod.NORMALIZE).forestMode(ForestMode.STREAMING_IMPUTE)
                .alertOnce(true).autoAdjust(true).randomSeed(seed)
                .ignoreNearExpectedFromAboveByRatio(ratios).ignoreNearExpectedFromBelowByRatio(ratios)
                .build();
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in), 1 << 20);
        PrintStream out = new PrintStream(new java.io.BufferedOutputStream(System.out, 1 << 16), false);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] head = line.split(" ");
            int rows = Integer.parseInt(head[0]), features = Integer.parseInt(head[1]);
            long interval = Long.parseLong(head[2]);
            ThresholdedRandomCutForest forest = forest(features, Long.parseLong(head[3]));
            for (int row = 0; row < rows; row++) {
                String[] cells = in.readLine().split(" ");
                double[] values = new double[features];
                for (int i = 0; i < features; i++) values[i] = Double.parseDouble(cells[i]);
                out.println(forest.process(values, (row + 1) * interval / 1000).getAnomalyGrade());
            }
            out.flush();
        }
    }
}
